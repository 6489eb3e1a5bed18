-- SPDX-License-Identifier: MIT
--
-- Schema of a results database, version 1. store.c runs it in the transaction that also sets
-- application_id and user_version; it never runs twice. A later version is a migration script
-- of its own in store.c: this file does not change once a release has made databases with it.
--
-- Counts are facts and cycles are prices: runs hold counts only, profiles hold prices only, and
-- the views multiply. Every number is an INTEGER (STRICT refuses a REAL), every 64-bit mask a
-- TEXT in hex. A view shows NULL where a sum would leave 63 bits: exact or nothing.

-- What was replayed. The three counts are known once a run that skipped nothing has been stored.
CREATE TABLE traces (
	id INTEGER PRIMARY KEY,
	hash TEXT NOT NULL UNIQUE CHECK (length(hash) = 32),
	name TEXT NOT NULL, -- the file it was first seen in
	mode TEXT, -- measured, restored, projected, synthetic or scenario
	provenance TEXT NOT NULL CHECK (json_valid(provenance)),
	tsc_khz INTEGER NOT NULL CHECK (tsc_khz > 0),
	nr_vcpus INTEGER NOT NULL CHECK (nr_vcpus > 0),
	nr_pcpus INTEGER NOT NULL CHECK (nr_pcpus > 0),
	armed_start INTEGER NOT NULL CHECK (armed_start IN (0, 1)),
	nr_events INTEGER CHECK (nr_events >= 0),
	guest_cycles INTEGER CHECK (guest_cycles >= 0),
	xfd_writes INTEGER CHECK (xfd_writes >= 0)
) STRICT;

-- The hash covers clocks and prices. The same prices under two names are two profiles here.
CREATE TABLE profiles (
	id INTEGER PRIMARY KEY,
	hash TEXT NOT NULL CHECK (length(hash) = 32),
	name TEXT NOT NULL,
	title TEXT NOT NULL,
	tsc_khz INTEGER NOT NULL CHECK (tsc_khz > 0),
	core_khz INTEGER NOT NULL CHECK (core_khz > 0),
	clock_note TEXT NOT NULL,
	UNIQUE (hash, name)
) STRICT;

-- One row for every step but guest_run. ordinal is report order.
CREATE TABLE prices (
	profile_id INTEGER NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
	step TEXT NOT NULL,
	ordinal INTEGER NOT NULL,
	low INTEGER NOT NULL CHECK (low >= 0),
	typical INTEGER NOT NULL CHECK (typical >= low),
	high INTEGER NOT NULL CHECK (high >= typical),
	grade TEXT NOT NULL CHECK (grade IN ('A', 'B', 'C', 'D')),
	basis TEXT NOT NULL CHECK (basis IN ('measured', 'bounded', 'estimate')),
	source TEXT NOT NULL,
	hypothetical INTEGER NOT NULL CHECK (hypothetical IN (0, 1)),
	PRIMARY KEY (profile_id, step)
) STRICT, WITHOUT ROWID;

-- identity is a hash over trace, policy, kernel, options and version. created_at and
-- duration_ns are the only columns that differ when a run is repeated.
CREATE TABLE runs (
	id INTEGER PRIMARY KEY,
	identity TEXT NOT NULL UNIQUE CHECK (length(identity) = 32),
	trace_id INTEGER NOT NULL REFERENCES traces (id),
	policy TEXT NOT NULL,
	kernel TEXT NOT NULL,
	options TEXT NOT NULL CHECK (json_valid(options) AND instr(options, char(10)) = 0),
	version TEXT NOT NULL,
	nr_events INTEGER NOT NULL CHECK (nr_events >= 0),
	nr_skipped INTEGER NOT NULL CHECK (nr_skipped >= 0),
	xfd_writes INTEGER NOT NULL CHECK (xfd_writes >= 0),
	xfd_exits INTEGER NOT NULL CHECK (xfd_exits >= 0),
	fpstate_bytes INTEGER NOT NULL CHECK (fpstate_bytes >= 0),
	fpstate_high_water_bytes INTEGER NOT NULL CHECK (fpstate_high_water_bytes >= fpstate_bytes),
	created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	duration_ns INTEGER NOT NULL CHECK (duration_ns >= 0)
) STRICT;

CREATE INDEX runs_by_trace ON runs (trace_id);

-- A step without a row happened zero times, so that a step added to the model later needs no
-- row in the runs of today. guest_run counts cycles; its price is 1.
CREATE TABLE step_counts (
	run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	step TEXT NOT NULL,
	count INTEGER NOT NULL CHECK (count > 0),
	PRIMARY KEY (run_id, step)
) STRICT, WITHOUT ROWID;

-- VM-exits; a reason without a row did not occur.
CREATE TABLE exit_counts (
	run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	reason TEXT NOT NULL,
	count INTEGER NOT NULL CHECK (count > 0),
	PRIMARY KEY (run_id, reason)
) STRICT, WITHOUT ROWID;

-- ordinal: the order in which paths were first taken. steps: names in order, by one space.
CREATE TABLE path_counts (
	run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	ordinal INTEGER NOT NULL CHECK (ordinal >= 0),
	event TEXT NOT NULL,
	exit_reason TEXT, -- NULL: no VM-exit
	steps TEXT NOT NULL,
	count INTEGER NOT NULL CHECK (count > 0),
	PRIMARY KEY (run_id, ordinal)
) STRICT, WITHOUT ROWID;

-- Each vCPU after the last event.
CREATE TABLE vcpu_finals (
	run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	vcpu INTEGER NOT NULL CHECK (vcpu >= 0),
	state TEXT NOT NULL,
	intercept_xfd INTEGER NOT NULL CHECK (intercept_xfd IN (0, 1)),
	intercept_nm INTEGER NOT NULL CHECK (intercept_nm IN (0, 1)),
	fpstate_bytes INTEGER NOT NULL CHECK (fpstate_bytes >= 0),
	xfd TEXT NOT NULL, -- 0x...
	xfd_err TEXT NOT NULL, -- 0x...
	PRIMARY KEY (run_id, vcpu)
) STRICT, WITHOUT ROWID;

-- Overhead of each step in a run under a profile, in cycles of the profile's TSC. NULL when the
-- profile has no price for the step, or when a product may reach 10^17, which is a year: ninety
-- smaller ones still add up exactly.
CREATE VIEW priced_steps AS
SELECT
	s.run_id,
	f.id AS profile_id,
	f.name AS profile,
	p.ordinal,
	s.step,
	s.count,
	CASE WHEN 1.0 * s.count * p.high < 1e17 THEN s.count * p.low END AS low_cycles,
	CASE WHEN 1.0 * s.count * p.high < 1e17 THEN s.count * p.typical END AS cycles,
	CASE WHEN 1.0 * s.count * p.high < 1e17 THEN s.count * p.high END AS high_cycles,
	p.grade,
	p.basis,
	p.hypothetical
FROM step_counts AS s
CROSS JOIN profiles AS f
LEFT JOIN prices AS p ON p.profile_id = f.id AND p.step = s.step
WHERE s.step <> 'guest_run';

-- One row a run and profile. It sums priced_steps, but from the tables, so that asking for one
-- run or trace reads no other. guest_cycles count the trace's TSC, overhead the profile's, so the
-- percentage compares times: overhead in percent of the time the guest ran.
CREATE VIEW run_cycles AS
SELECT
	o.run_id,
	o.profile_id,
	o.trace_id,
	t.name AS trace,
	r.policy,
	r.kernel,
	r.options,
	r.version,
	f.name AS profile,
	t.tsc_khz AS trace_tsc_khz,
	f.tsc_khz AS profile_tsc_khz,
	o.guest_cycles,
	CASE WHEN o.exact THEN o.low END AS overhead_low_cycles,
	CASE WHEN o.exact THEN o.typical END AS overhead_cycles,
	CASE WHEN o.exact THEN o.high END AS overhead_high_cycles,
	CASE WHEN o.exact THEN
		100.0 * o.typical * t.tsc_khz / nullif(1.0 * o.guest_cycles * f.tsc_khz, 0)
	END AS overhead_percent
FROM (
	SELECT
		r.id AS run_id,
		f.id AS profile_id,
		r.trace_id,
		coalesce((SELECT count FROM step_counts WHERE run_id = r.id AND step = 'guest_run'), 0)
			AS guest_cycles,
		count(s.step) = count(CASE WHEN 1.0 * s.count * p.high < 1e17 THEN 1 END) AS exact,
		coalesce(sum(CASE WHEN 1.0 * s.count * p.high < 1e17 THEN s.count * p.low END), 0)
			AS low,
		coalesce(sum(CASE WHEN 1.0 * s.count * p.high < 1e17 THEN s.count * p.typical END), 0)
			AS typical,
		coalesce(sum(CASE WHEN 1.0 * s.count * p.high < 1e17 THEN s.count * p.high END), 0)
			AS high
	FROM runs AS r
	CROSS JOIN profiles AS f
	LEFT JOIN step_counts AS s ON s.run_id = r.id AND s.step <> 'guest_run'
	LEFT JOIN prices AS p ON p.profile_id = f.id AND p.step = s.step
	GROUP BY r.id, f.id, r.trace_id
) AS o
JOIN runs AS r ON r.id = o.run_id
JOIN traces AS t ON t.id = o.trace_id
JOIN profiles AS f ON f.id = o.profile_id;

-- priced_steps with each step's part of the run's overhead, 0 to 1.
CREATE VIEW step_cycles AS
SELECT
	c.*,
	1.0 * c.cycles / nullif(r.overhead_cycles, 0) AS share
FROM priced_steps AS c
JOIN run_cycles AS r ON r.run_id = c.run_id AND r.profile_id = c.profile_id;

-- Policies ranked by typical overhead among runs that differ in the policy alone: same trace,
-- kernel, version and options, but for the options under "policy", which are a policy's own.
CREATE VIEW comparison AS
SELECT
	trace_id,
	trace,
	kernel,
	version,
	json_remove(options, '$.policy') AS shared_options,
	profile_id,
	profile,
	rank() OVER ranked AS rank,
	policy,
	json_extract(options, '$.policy') AS policy_options,
	run_id,
	guest_cycles,
	overhead_low_cycles,
	overhead_cycles,
	overhead_high_cycles,
	overhead_percent,
	overhead_cycles - min(overhead_cycles) OVER alike AS above_best_cycles,
	overhead_percent - min(overhead_percent) OVER alike AS above_best_percent
FROM run_cycles
WINDOW
	alike AS (
		PARTITION BY trace_id, kernel, version, json_remove(options, '$.policy'), profile_id
	),
	ranked AS (alike ORDER BY overhead_cycles IS NULL, overhead_cycles);

-- What one passage of each path costs: with count, the distribution of latencies.
CREATE VIEW path_cycles AS
SELECT
	c.run_id,
	f.id AS profile_id,
	f.name AS profile,
	c.ordinal,
	c.event,
	c.exit_reason,
	c.steps,
	c.count,
	CASE WHEN count(p.step) = count(s.value) THEN coalesce(sum(p.low), 0) END AS low_cycles,
	CASE WHEN count(p.step) = count(s.value) THEN coalesce(sum(p.typical), 0) END AS cycles,
	CASE WHEN count(p.step) = count(s.value) THEN coalesce(sum(p.high), 0) END AS high_cycles
FROM path_counts AS c
CROSS JOIN profiles AS f
LEFT JOIN json_each(
	CASE c.steps WHEN '' THEN '[]' ELSE '["' || replace(c.steps, ' ', '","') || '"]' END
) AS s ON s.value <> 'guest_run'
LEFT JOIN prices AS p ON p.profile_id = f.id AND p.step = s.value
GROUP BY c.run_id, c.ordinal, f.id;
