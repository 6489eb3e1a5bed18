-- SPDX-License-Identifier: MIT
--
-- From version 1 to 2: clairvoyant bounds. A bound is a fact about a trace, a kernel, options and
-- typical prices together, so unlike a run it belongs to one profile.

-- The least that any interception policy costs (sim/optimum.h), and the best of adaptive. options
-- are those of the runs beside it, though a policy's own parameters do not matter here.
CREATE TABLE bounds (
	id INTEGER PRIMARY KEY,
	trace_id INTEGER NOT NULL REFERENCES traces (id),
	profile_id INTEGER NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
	kernel TEXT NOT NULL,
	options TEXT NOT NULL CHECK (json_valid(options) AND instr(options, char(10)) = 0),
	version TEXT NOT NULL,
	optimum_cycles INTEGER NOT NULL CHECK (optimum_cycles >= 0),
	-- How often a schedule of that cost decides to change interception; the fewest that does.
	optimum_decisions INTEGER NOT NULL CHECK (optimum_decisions >= 0),
	-- The three are NULL when adaptive cannot replay the trace.
	adaptive_writes INTEGER CHECK (adaptive_writes > 0),
	adaptive_exits INTEGER CHECK (adaptive_exits > 0),
	adaptive_cycles INTEGER CHECK (adaptive_cycles >= optimum_cycles),
	-- 1: no adaptive with adaptive_max_writes or less is cheaper; 0: some were left out.
	adaptive_exact INTEGER NOT NULL CHECK (adaptive_exact IN (0, 1)),
	adaptive_max_writes INTEGER NOT NULL CHECK (adaptive_max_writes > 0),
	UNIQUE (trace_id, profile_id, kernel, options, version)
) STRICT;

-- How far each run is from its bound.
CREATE VIEW above_optimum AS
SELECT
	r.run_id,
	r.profile_id,
	r.trace_id,
	r.trace,
	r.policy,
	r.kernel,
	r.options,
	r.version,
	r.profile,
	r.overhead_cycles,
	b.optimum_cycles,
	r.overhead_cycles - b.optimum_cycles AS above_optimum_cycles,
	1.0 * r.overhead_cycles / nullif(b.optimum_cycles, 0) AS ratio
FROM run_cycles AS r
JOIN bounds AS b ON b.trace_id = r.trace_id AND b.profile_id = r.profile_id
	AND b.kernel = r.kernel AND b.options = r.options AND b.version = r.version;
