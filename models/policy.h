/* SPDX-License-Identifier: MIT */
/**
 * DOC: Interception policies: when may the guest write IA32_XFD directly?
 *
 * A policy is one file under models/policy/ that defines one constant struct, and one line
 * in models/policy_list.h that names it. It sees accepted, intercepted writes and nothing
 * of the machine; it answers with a verdict, and the path (models/path.c) does what the
 * verdict needs and counts its steps. So a policy can be wrong about when, never about how.
 *
 * vCPUs whose CPUID has no AMX are never passed through, and no policy is asked about them.
 */
#ifndef MODELS_POLICY_H
#define MODELS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum policy_verdict {
	POLICY_KEEP,         /* leave interception as it is */
	POLICY_PASS_THROUGH, /* stop intercepting accesses of XFD */
	POLICY_INTERCEPT     /* start again */
};

/**
 * struct policy_params - What a user may choose; a constant during a run.
 * @adaptive_writes: accepted intercepted writes before passing through, at least 1
 * @adaptive_exits:  synced VM-exits in a row that found XFD unchanged before intercepting
 *                   again, at least 1
 */
struct policy_params {
	uint32_t adaptive_writes;
	uint32_t adaptive_exits;
};

/*
 * One write is enough to pass through, because a trapped write costs more than flipping the
 * bitmap twice. Intercept again after ceil((a + b + c) / s) exits without a write: two
 * bitmap updates a and b of 120 cycles, 1,650 cycles c that a trapped write costs above a
 * direct one, 50 cycles s for a sync (profile spr, typical): 1890 / 50, rounded up. That is
 * the ski-rental threshold against an optimum that can only act when the host has control.
 */
enum { POLICY_ADAPTIVE_WRITES = 1, POLICY_ADAPTIVE_EXITS = 38 };

/**
 * struct policy_state - A policy's own few bits, one per vCPU; zero at creation.
 * @writes:  accepted or enabling writes, saturating
 * @exits:   unchanged synced exits in a row
 * @pending: something to do when KVM_RUN comes back
 */
struct policy_state {
	uint32_t writes;
	uint32_t exits;
	bool pending;
};

/**
 * struct xfd_write - An intercepted WRMSR of IA32_XFD whose value is legal.
 * @value:            what the guest writes
 * @enabling:         bit 18 is clear while XCR0[18:17] = 11
 * @large_on_arrival: the buffer had room for tiles when the write trapped
 * @large:            it has room now
 */
struct xfd_write {
	uint64_t value;
	bool enabling;
	bool large_on_arrival;
	bool large;
};

/**
 * struct xfd_policy - One policy; a constant. Hooks may be NULL.
 * @name:     what --policy takes
 * @summary:  one line without a full stop
 * @kernels:  with which variants it is meaningful, and why
 * @source:   where the rule is written down
 * @upstream_in: the variants that really had it, separated by spaces; NULL for none
 * @unsafe_in: the variants in which it opens a window that the variant's own policy keeps
 *             shut, separated by spaces; NULL for none
 * @at_creation: passes through from the vCPU's creation, with a full buffer
 * @arrives:  a legal write has trapped; the buffer may be about to grow, and may fail to
 * @accepted: the write has taken effect
 * @resumed:  KVM_RUN is back from userspace; @large says whether the buffer has room now
 * @synced:   a VM-exit was synced while writes pass through; @changed says whether the MSR
 *            differed from fpstate.xfd as it was
 */
struct xfd_policy {
	const char *name;
	const char *summary;
	const char *kernels;
	const char *source;
	const char *upstream_in;
	const char *unsafe_in;
	bool at_creation;
	enum policy_verdict (*arrives)(struct policy_state *state,
				       const struct policy_params *params,
				       const struct xfd_write *write);
	enum policy_verdict (*accepted)(struct policy_state *state,
					const struct policy_params *params,
					const struct xfd_write *write);
	enum policy_verdict (*resumed)(struct policy_state *state,
				       const struct policy_params *params, bool large);
	enum policy_verdict (*synced)(struct policy_state *state,
				      const struct policy_params *params, bool changed);
};

/**
 * policy_at() - Walk the policies in list order.
 * @index: 0 for the first
 *
 * Return: the policy, or NULL past the last.
 */
const struct xfd_policy *policy_at(size_t index);

/**
 * policy_find() - Look a policy up by name.
 * @name: exact, case-sensitive
 *
 * Return: the policy, or NULL.
 */
const struct xfd_policy *policy_find(const char *name);

enum policy_fit {
	POLICY_UPSTREAM, /* this kernel had it */
	POLICY_WHAT_IF,  /* it never had */
	POLICY_UNSAFE    /* and would be worse off with it */
};

/**
 * policy_fit() - How a policy and a kernel variant go together.
 * @policy: the policy
 * @kernel: the variant's name
 *
 * Return: an enum policy_fit.
 */
enum policy_fit policy_fit(const struct xfd_policy *policy, const char *kernel);

#endif /* MODELS_POLICY_H */
