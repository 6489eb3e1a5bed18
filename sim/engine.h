/* SPDX-License-Identifier: MIT */
/**
 * DOC: Replays a trace through the model.
 *
 * Several runs (policies, kernels, options) share one pass over the trace: each block is
 * decoded once. The reference engine hands every event to the model; the automaton
 * (sim/automaton.h) asks the model once for each thing that can happen. Their results are
 * the same, count for count. Memory does not grow with the trace.
 */
#ifndef SIM_ENGINE_H
#define SIM_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/machine.h"
#include "sim/ledger.h"
#include "traces/trace.h"

enum {
	ENGINE_HALT_POLL_US = 200, /* KVM's halt_poll_ns default on x86 */
	ENGINE_IDLE_INIT_US = 800, /* how long an idle CPU sleeps before C6 pays; grade D */
	ENGINE_MAX_FAIL_GROWTHS = 64
};

enum engine_kind { ENGINE_AUTOMATON, ENGINE_REFERENCE };

/**
 * struct engine_options - What to replay, in the units that people type.
 * @policy:       interception policy
 * @kernel:       variant
 * @params:       the policy's
 * @halt_poll_us: a HLT shorter than this is polled through
 * @idle_init_us: a blocked HLT of at least this length loses live tiles to C6
 * @vmm_returns:  after a failed growth KVM_RUN is called again
 * @fail_growths: which growths fail, from 1, ascending
 * @nr_fail_growths: entries of @fail_growths
 * @engine:       how, not what: no part of the run's identity; of one call all are equal
 * @max_states:   of the automaton of one run, at least 2; 0 for the default
 */
struct engine_options {
	const struct xfd_policy *policy;
	const struct kernel *kernel;
	struct policy_params params;
	uint64_t halt_poll_us;
	uint64_t idle_init_us;
	bool vmm_returns;
	uint64_t fail_growths[ENGINE_MAX_FAIL_GROWTHS];
	size_t nr_fail_growths;
	enum engine_kind engine;
	uint32_t max_states;
};

/**
 * struct engine_trace - What was replayed.
 * @info:     the trace's header, owned
 * @nr_events: in the whole trace
 * @hash:     its identity
 */
struct engine_trace {
	struct trace_info info;
	uint64_t nr_events;
	char hash[TRACE_HASH_LEN];
};

/* Called now and then; bytes of the file, total 0 when unknown. */
typedef void engine_progress_fn(void *data, uint64_t done_bytes, uint64_t total_bytes);

/**
 * engine_default_options() - Today's upstream: first-nonzero on the newest kernel.
 * @options: filled
 */
void engine_default_options(struct engine_options *options);

/**
 * engine_read_options() - The options of a stored run.
 * @run:     its policy, kernel and options
 * @options: filled
 * @err:     filled on failure: this program knows no such policy or kernel
 *
 * Return: 0 or a negative errno.
 */
int engine_read_options(const struct run *run, struct engine_options *options,
			struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * engine_machine_config() - Options in the units of a trace's clock.
 * @options: borrowed by @config
 * @info:    the trace's header
 * @config:  filled
 */
void engine_machine_config(const struct engine_options *options, const struct trace_info *info,
			   struct machine_config *config);

/**
 * engine_replay() - Replay one trace under one or more sets of options.
 * @path:     the trace
 * @options:  @nr of them
 * @nr:       at least 1
 * @runs:     @nr results; release each with engine_release_run()
 * @trace:    filled; release it with engine_release_trace()
 * @progress: or NULL
 * @data:     for @progress
 * @err:      filled on failure; nothing needs releasing then
 *
 * Return: 0 or a negative errno.
 */
int engine_replay(const char *path, const struct engine_options *options, size_t nr,
		  struct run *runs, struct engine_trace *trace, engine_progress_fn *progress,
		  void *data, struct xfd_error *err) __attribute__((warn_unused_result));

/** engine_release_run() - Free what a run owns. */
void engine_release_run(struct run *run);

/** engine_release_trace() - Free what a trace's description owns. */
void engine_release_trace(struct engine_trace *trace);

#endif /* SIM_ENGINE_H */
