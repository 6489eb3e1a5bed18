/* SPDX-License-Identifier: MIT */
/*
 * The clairvoyant bound against brute force, which tries every schedule of the whole machine,
 * and against every policy, none of which may be cheaper.
 */
#include "tests/xt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/exit_reason.h"
#include "sim/optimum.h"
#include "sim/patience.h"
#include "traces/block.h"

/* Costs are compared with the number of changes in their last digits. */
enum { MAX_VCPUS = 3, MAX_EVENTS = 400, PER_CYCLE = 1000 };

struct trial {
	struct trace_info info;
	uint8_t flags[MAX_VCPUS];
	struct machine_config config;
	struct trace_event event[MAX_EVENTS];
	size_t nr;
};

static struct cost_profile *prices;
static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
	uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

static void trial_init(struct trial *t, const char *kernel, uint32_t vcpus, uint32_t pcpus)
{
	memset(t, 0, sizeof(*t));
	t->info = (struct trace_info){
		.tsc_khz = 2200000, .nr_vcpus = vcpus, .nr_pcpus = pcpus, .vcpu_flags = t->flags};
	t->config = (struct machine_config){
		.kernel = kernel_find(kernel), .halt_poll_cycles = 100, .idle_init_cycles = 200};
	assert_non_null(t->config.kernel);
}

static struct optimum *work_out(struct trial *t)
{
	static struct block_builder builder;
	struct optimum *o = optimum_new(&t->config, &t->info, prices);

	assert_non_null(o);
	block_builder_init(&builder, t->info.tsc_khz);
	if (t->nr)
		assert_int_equal(optimum_block(o, block_build(&builder, t->event, t->nr,
							      t->info.nr_vcpus == 1)),
				 0);
	return o;
}

static uint64_t optimum(struct trial *t)
{
	struct optimum *o = work_out(t);
	uint64_t changes, cycles = optimum_cycles(o, &changes);

	optimum_free(o);
	return cycles * PER_CYCLE + changes;
}

static uint64_t price_of(const struct step_log *log, bool *exits, bool *updates)
{
	uint64_t sum = 0;

	*exits = *updates = false;
	for (unsigned int i = 0; i < log->nr; i++) {
		sum += prices->price[log->step[i]].cycles[PRICE_TYPICAL];
		*exits |= log->step[i] == STEP_exit_post;
		*updates |= log->step[i] == STEP_intercept_update;
	}
	return sum;
}

/* ---- brute force: the whole machine, every schedule ---- */

struct whole {
	struct machine machine;
	struct pcpu pcpus[MAX_VCPUS];
	struct vcpu vcpus[MAX_VCPUS];
};

static void whole_copy(struct whole *to, const struct whole *from)
{
	*to = *from;
	to->machine.pcpus = to->pcpus;
	to->machine.vcpus = to->vcpus;
}

static uint64_t brute(const struct trial *t, const struct whole *from, size_t at)
{
	struct machine_result result;
	struct whole w, other;
	uint64_t cost, best, flipped;
	bool exits, updates;
	struct vcpu *v;

	if (at == t->nr)
		return 0;
	whole_copy(&w, from);
	if (machine_event(&w.machine, &t->event[at], &result) != MACHINE_OK)
		return UINT64_MAX / 2;
	cost = price_of(&result.log, &exits, &updates) * PER_CYCLE;
	best = cost + brute(t, &w, at + 1);
	v = &w.vcpus[t->event[at].vcpu];
	if (!exits || (v->flags & VCPU_NO_AMX) || !fpstate_has_tiles_room(&v->fpstate))
		return best;
	whole_copy(&other, &w);
	v = &other.vcpus[t->event[at].vcpu];
	v->xfd_no_write_intercept = !v->xfd_no_write_intercept;
	if (v->xfd_no_write_intercept && t->config.kernel->traps_nm)
		v->intercept_nm = true;
	if (!updates)
		cost += prices->price[STEP_intercept_update].cycles[PRICE_TYPICAL] * PER_CYCLE;
	flipped = cost + 1 + brute(t, &other, at + 1);
	return flipped < best ? flipped : best;
}

static void whole_init(struct whole *w, const struct trial *t, const struct machine_config *config)
{
	w->machine = (struct machine){.pcpus = w->pcpus,
				      .vcpus = w->vcpus,
				      .nr_pcpus = t->info.nr_pcpus,
				      .nr_vcpus = t->info.nr_vcpus};
	machine_init(&w->machine, config, t->flags);
}

/* Every vCPU may be created either way. */
static uint64_t brute_force(const struct trial *t)
{
	struct machine_config shut = t->config, open = t->config;
	uint64_t best = UINT64_MAX;

	shut.policy = policy_find("always-intercept");
	open.policy = policy_find("passthrough");
	for (uint32_t mask = 0; mask < 1u << t->info.nr_vcpus; mask++) {
		struct whole w, from;
		uint64_t cost;

		whole_init(&w, t, &shut);
		whole_init(&from, t, &open);
		for (uint32_t v = 0; v < t->info.nr_vcpus; v++) {
			if (!(mask >> v & 1))
				continue;
			w.vcpus[v] = from.vcpus[v];
			if (w.pcpus[v % t->info.nr_pcpus].vcpu == v)
				w.pcpus[v % t->info.nr_pcpus] = from.pcpus[v % t->info.nr_pcpus];
		}
		w.machine.config = &shut;
		cost = brute(t, &w, 0);
		best = cost < best ? cost : best;
	}
	return best;
}

/* ---- traces ---- */

static unsigned long nr_traces;

static const struct trace_event alphabet[] = {
	{.kind = EVENT_wrxfd, .arg = 0},
	{.kind = EVENT_wrxfd, .arg = 0x40000},
	{.kind = EVENT_xsetbv, .arg = EVENT_XCR0_DEFAULT},
	{.kind = EVENT_amx},
	{.kind = EVENT_wrerr},
	{.kind = EVENT_exit, .arg = EXIT_CPUID},
	{.kind = EVENT_exit, .arg = EXIT_FASTPATH},
	{.kind = EVENT_exit, .arg = EXIT_USERSPACE},
	{.kind = EVENT_hlt, .arg = 50},
	{.kind = EVENT_hlt, .arg = 300},
	{.kind = EVENT_preempt, .arg = TASK_N},
	{.kind = EVENT_preempt, .arg = TASK_A},
};

enum { NR_ALPHABET = sizeof(alphabet) / sizeof(alphabet[0]) };

static void append(struct trial *t, uint32_t vcpu, struct trace_event event)
{
	event.vcpu = vcpu;
	t->event[t->nr++] = event;
}

/* An event of the alphabet and, if it switches the vCPU out, its return. */
static void append_pair(struct trial *t, uint32_t vcpu, const struct trace_event *event)
{
	append(t, vcpu, *event);
	if (event->kind == EVENT_hlt || event->kind == EVENT_preempt)
		append(t, vcpu,
		       (struct trace_event){.kind = event->kind == EVENT_hlt ? EVENT_wake
									     : EVENT_resume,
					    .arg = EVENT_SAME_PCPU});
}

static void check_all(struct trial *t, int depth)
{
	size_t nr = t->nr;

	nr_traces++;
	if (optimum(t) != brute_force(t))
		fail_msg("trace %lu of %zu events: %llu instead of %llu", nr_traces, t->nr,
			 (unsigned long long)optimum(t), (unsigned long long)brute_force(t));
	for (size_t i = 0; depth && i < NR_ALPHABET; i++) {
		append_pair(t, 0, &alphabet[i]);
		check_all(t, depth - 1);
		t->nr = nr;
	}
}

static void every_short_trace_has_the_optimum_of_brute_force(void **state)
{
	const struct kernel *kernel;
	static struct trial t;

	(void)state;
	for (size_t i = 0; (kernel = kernel_at(i)); i++)
		for (int armed = 0; armed < 2; armed++) {
			trial_init(&t, kernel->name, 1, 1);
			t.config.armed_start = t.info.armed_start = armed;
			check_all(&t, 3);
		}
	print_message("%lu traces\n", nr_traces);
}

/* A trace that may happen, with vCPUs that share pCPUs and move. */
static void random_events(struct trial *t, size_t nr)
{
	uint32_t held[MAX_VCPUS], pcpu[MAX_VCPUS], out[MAX_VCPUS] = {0};

	for (uint32_t p = 0; p < t->info.nr_pcpus; p++)
		held[p] = 0;
	for (uint32_t v = 0; v < t->info.nr_vcpus; v++) {
		pcpu[v] = v % t->info.nr_pcpus;
		out[v] = held[pcpu[v]] ? EVENT_resume : 0;
		held[pcpu[v]] = 1;
	}
	while (t->nr < nr) {
		uint32_t v = (uint32_t)draw(t->info.nr_vcpus);
		struct trace_event event = alphabet[draw(NR_ALPHABET)];

		if (out[v]) {
			uint32_t p = draw(2) ? pcpu[v] : (uint32_t)draw(t->info.nr_pcpus);

			if (held[p])
				continue;
			held[p] = 1;
			append(t, v, (struct trace_event){.kind = out[v], .arg = p});
			pcpu[v] = p;
			out[v] = 0;
			continue;
		}
		if (event.kind == EVENT_hlt && event.arg < t->config.halt_poll_cycles)
			continue;
		append(t, v, event);
		if (event.kind != EVENT_hlt && event.kind != EVENT_preempt)
			continue;
		out[v] = event.kind == EVENT_hlt ? EVENT_wake : EVENT_resume;
		held[pcpu[v]] = 0;
	}
}

static void random_trial(struct trial *t, uint64_t seed, size_t nr)
{
	size_t nr_kernels = 0;

	while (kernel_at(nr_kernels))
		nr_kernels++;
	random_state = seed;
	trial_init(t, kernel_at(draw(nr_kernels))->name, 1 + (uint32_t)draw(MAX_VCPUS),
		   1 + (uint32_t)draw(MAX_VCPUS));
	t->config.armed_start = t->info.armed_start = draw(2);
	for (uint32_t v = 0; v < t->info.nr_vcpus; v++)
		t->flags[v] = draw(4) ? 0 : (uint8_t)draw(8);
	random_events(t, nr);
}

static void shared_pcpus_have_the_optimum_of_brute_force(void **state)
{
	static struct trial t;

	(void)state;
	for (uint64_t seed = 0; seed < 3000; seed++) {
		random_trial(&t, seed, 1 + seed % 9);
		if (optimum(&t) != brute_force(&t))
			fail_msg("seed %llu: %llu instead of %llu", (unsigned long long)seed,
				 (unsigned long long)optimum(&t),
				 (unsigned long long)brute_force(&t));
	}
}

/* Returns UINT64_MAX when the policy's run is refused (a #NM in the host). */
static uint64_t policy_cost(const struct trial *t, const struct xfd_policy *policy,
			    struct policy_params params)
{
	struct machine_config config = t->config;
	struct machine_result result;
	uint64_t cost = 0;
	struct whole w;
	bool unused;

	config.policy = policy;
	config.params = params;
	whole_init(&w, t, &config);
	for (size_t i = 0; i < t->nr; i++) {
		if (machine_event(&w.machine, &t->event[i], &result) != MACHINE_OK)
			return UINT64_MAX;
		cost += price_of(&result.log, &unused, &unused);
	}
	return cost;
}

static void no_policy_is_cheaper_than_the_optimum(void **state)
{
	const struct xfd_policy *policy;
	static struct trial t;
	unsigned long equal = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 1500; seed++) {
		uint64_t best;

		random_trial(&t, 1000000 + seed, 20 + seed % (MAX_EVENTS - 20));
		best = optimum(&t) / PER_CYCLE;
		for (size_t i = 0; (policy = policy_at(i)); i++) {
			struct policy_params params = {1 + (uint32_t)draw(3),
						       1 + (uint32_t)draw(20)};
			uint64_t cost = policy_cost(&t, policy, params);

			if (cost < best)
				fail_msg("seed %llu, %s: %llu, but the optimum is %llu",
					 (unsigned long long)seed, policy->name,
					 (unsigned long long)cost, (unsigned long long)best);
			equal += cost == best;
		}
	}
	assert_true(equal);
}

static size_t compare_adaptive(const struct trial *t, const struct optimum *o, uint32_t writes,
			       uint32_t exits, struct policy_params *best, uint64_t *least)
{
	uint64_t cycles = UINT64_MAX, wanted = policy_cost(t, policy_find("adaptive"),
							   (struct policy_params){writes, exits});

	if (!optimum_adaptive_cycles(o, writes, exits, &cycles))
		cycles = UINT64_MAX;
	if (cycles != wanted)
		fail_msg("writes %u, exits %u: %llu instead of %llu", writes, exits,
			 (unsigned long long)cycles, (unsigned long long)wanted);
	if (cycles < *least) {
		*least = cycles;
		*best = (struct policy_params){writes, exits};
	}
	return cycles != UINT64_MAX;
}

static void every_adaptive_costs_what_its_replay_costs(void **state)
{
	static struct trial t;
	size_t nr_replayed = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct policy_params best = {0}, found;
		uint64_t least = UINT64_MAX, cycles;
		struct optimum *o;

		random_trial(&t, seed, 20 + seed % (MAX_EVENTS - 20));
		o = work_out(&t);
		for (uint32_t writes = 1; writes <= PATIENCE_WRITES; writes++) {
			for (uint32_t exits = 1; exits <= 60; exits++)
				nr_replayed +=
					compare_adaptive(&t, o, writes, exits, &best, &least);
			nr_replayed +=
				compare_adaptive(&t, o, writes, PATIENCE_NEVER, &best, &least);
		}
		assert_true(optimum_adaptive(o, &found, &cycles));
		assert_true(cycles == least);
		if (found.adaptive_exits <= 60)
			assert_memory_equal(&found, &best, sizeof(best));
		optimum_free(o);
	}
	assert_true(nr_replayed > 50000);
}

/* Five exits with two members: 1 and 2 have gone, 3 cannot be told from those above it. */
static void what_has_no_room_is_left_out(void **state)
{
	static const struct patience_edge write = {
		.next = 1, .flipped = 2, .flip_cost = 100, .hook = PATIENCE_WRITE};
	static const struct patience_edge exits_of[] = {
		{.next = 1, .flipped = PATIENCE_DEAD},
		{.next = 2, .flipped = 1, .cost = 10, .flip_cost = 1000, .hook = PATIENCE_SAME},
	};
	static const uint32_t states[] = {1, 2};
	struct patience *p = patience_new(1, 2);
	uint64_t cycles;

	(void)state;
	assert_non_null(p);
	assert_int_equal(patience_step(p, states, &write, 1), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(patience_step(p, states, exits_of, 2), 0);
	for (uint32_t exits = 1; exits <= 2; exits++) {
		assert_true(patience_cycles(p, 1, exits, &cycles));
		assert_int_equal(cycles, 100 + 10 * (exits - 1) + 1000);
	}
	assert_false(patience_cycles(p, 1, 3, &cycles));
	assert_true(patience_cycles(p, 1, PATIENCE_NEVER, &cycles));
	assert_int_equal(cycles, 100 + 5 * 10);
	assert_false(patience_whole(p));
	patience_free(p);
}

static int load_prices(void **state)
{
	struct xfd_error err = {0};

	(void)state;
	return profile_load(PROFILE_DEFAULT, &prices, &err);
}

static int free_prices(void **state)
{
	(void)state;
	profile_free(prices);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_short_trace_has_the_optimum_of_brute_force),
		cmocka_unit_test(shared_pcpus_have_the_optimum_of_brute_force),
		cmocka_unit_test(no_policy_is_cheaper_than_the_optimum),
		cmocka_unit_test(every_adaptive_costs_what_its_replay_costs),
		cmocka_unit_test(what_has_no_room_is_left_out),
	};

	return cmocka_run_group_tests(tests, load_prices, free_prices);
}
