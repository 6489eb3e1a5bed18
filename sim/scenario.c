/* SPDX-License-Identifier: MIT */
/* Counterexamples as stories and as scenarios; sim/scenario_run.c runs those. */
#include "sim/scenario.h"

#include <inttypes.h>
#include <string.h>

#include "models/path.h"

/* ---- setups ---- */

void scenario_setup_init(struct scenario_setup *setup, const struct kernel *kernel,
			 const struct xfd_policy *policy)
{
	*setup = (struct scenario_setup){.kernel = *kernel};
	world_config_init(&setup->config, &setup->kernel, policy);
}

int scenario_plant(struct scenario_setup *setup, const char *bug)
{
	if (setup->nr_bugs == SCENARIO_MAX_BUGS || kernel_plant(&setup->kernel, bug))
		return -1;
	setup->bugs[setup->nr_bugs++] = kernel_bug_find(bug)->name;
	return 0;
}

int scenario_set_tasks(struct scenario_setup *setup, const char *text)
{
	uint32_t nr = 0;

	for (; *text; text++) {
		if (*text == 'K')
			continue;
		if ((*text != 'N' && *text != 'A') || nr == HOST_MAX_TASKS)
			return -1;
		setup->config.tasks[nr++] = *text == 'N' ? TASK_N : TASK_A;
	}
	setup->config.nr_tasks = nr;
	return 0;
}

/* ---- words for things ---- */

void scenario_task_word(const struct world_config *config, uint32_t task,
			char buf[SCENARIO_WORD_LEN])
{
	unsigned int among = 0;

	for (uint32_t i = 0; i < task; i++)
		among += config->tasks[i] == config->tasks[task];
	snprintf(buf, SCENARIO_WORD_LEN, "%c%u", config->tasks[task] == TASK_N ? 'n' : 'a', among);
}

static void thread_word(const struct world_config *config, uint32_t thread, char buf[8])
{
	if (thread == THREAD_NONE)
		snprintf(buf, 8, "none");
	else if (thread < HOST_MAX_VCPUS)
		snprintf(buf, 8, "v%" PRIu32, thread);
	else
		scenario_task_word(config, UINT32_MAX - 1 - thread, buf);
}

static void dashes(char *word)
{
	for (; *word; word++)
		if (*word == '_')
			*word = '-';
}

const char *scenario_action_text(const struct world_config *config, struct action action,
				 char buf[SCENARIO_TEXT_LEN])
{
	static const char *const xfd[] = {"0", "0x40000", "0x20000"};
	const struct action_info *info = action_info(action.kind);
	char arg[16] = "", name[32];

	snprintf(name, sizeof(name), "%s", info->name);
	dashes(name);
	switch (info->arg) {
	case ACTION_ARG_NONE:
		break;
	case ACTION_ARG_BIT:
		snprintf(arg, sizeof(arg), " %s",
			 action.kind == ACTION_set_xsave ? action.arg ? "1" : "0"
			 : action.arg                    ? "0x40000"
							 : "0");
		break;
	case ACTION_ARG_XFD:
		snprintf(arg, sizeof(arg), " %s", xfd[action.arg]);
		break;
	case ACTION_ARG_ORDER:
		snprintf(arg, sizeof(arg), " %s", action.arg ? "msrs-first" : "xsave-first");
		break;
	case ACTION_ARG_PCPU:
		snprintf(arg, sizeof(arg), " p%u", (unsigned int)action.arg);
		break;
	case ACTION_ARG_TASK:
		arg[0] = ' ';
		if (action.arg == ACTION_NOBODY)
			snprintf(arg, sizeof(arg), " k");
		else if (action.arg < HOST_MAX_VCPUS)
			snprintf(arg, sizeof(arg), " v%u", (unsigned int)action.arg);
		else
			scenario_task_word(config, action.arg - HOST_MAX_VCPUS, arg + 1);
		break;
	}
	snprintf(buf, SCENARIO_TEXT_LEN, "%c%u %s%s", info->who == 'V' ? 'v' : 'p',
		 (unsigned int)action.id, name, arg);
	return buf;
}

/* ---- stories ---- */

static void describe_pcpu(const struct world *w, const struct world_config *config, uint32_t cpu,
			  char buf[SCENARIO_TEXT_LEN])
{
	const struct pcpu *p = &w->pcpus[cpu];
	char runs[8], owner[8], tiles[8];

	thread_word(config, w->host.running[cpu], runs);
	thread_word(config, p->fpregs_owner, owner);
	thread_word(config, p->xinuse_tiles ? w->host.tile_owner[cpu] : THREAD_NONE, tiles);
	snprintf(buf, SCENARIO_TEXT_LEN,
		 "pCPU %" PRIu32 "%s: runs %s, MSR XFD %#" PRIx64 ", xfd_state %#" PRIx64
		 ", MSR XFD_ERR %#" PRIx64 ", registers of %s, tiles of %s",
		 cpu, w->host.online[cpu] ? "" : " (offline)",
		 !strcmp(runs, "none") ? "the kernel" : runs, p->msr_xfd, p->xfd_state,
		 p->msr_xfd_err, owner, tiles);
}

static const char *where(const struct world *w, const struct vcpu *v)
{
	if (v->state == VCPU_STOPPED)
		return "destroyed";
	if (!v->frame.atoms)
		return "in the guest";
	if (v->state == VCPU_PREEMPTED || w->host.running[v->pcpu] != v->id)
		return path_in_user(v) ? "in userspace, waits for a CPU"
				       : "in the kernel, waits for a CPU";
	return path_in_user(v) ? "in userspace" : "in the kernel";
}

static void describe_vcpu(const struct world *w, uint32_t id, char buf[SCENARIO_TEXT_LEN])
{
	const struct vcpu *v = &w->vcpus[id];

	snprintf(buf, SCENARIO_TEXT_LEN,
		 "vCPU %" PRIu32 " %s: fpstate.xfd %#" PRIx64
		 ", XSTATE_BV[18] %d, xfd_err %#" PRIx64 "%s%s%s",
		 id, where(w, v), v->fpstate.xfd, v->fpstate.bv_tiles, v->xfd_err,
		 v->need_fpu_load ? ", TIF_NEED_FPU_LOAD" : "",
		 v->xfd_no_write_intercept ? ", XFD passes through" : "",
		 v->intercept_nm ? ", #NM traps" : "");
}

static void describe_task(const struct world *w, const struct world_config *config, uint32_t id,
			  char buf[SCENARIO_TEXT_LEN])
{
	const struct task *t = &w->host.tasks[id];
	char word[8];

	scenario_task_word(config, id, word);
	snprintf(buf, SCENARIO_TEXT_LEN, "task %s: XSTATE_BV[18] %d%s%s", word, t->bv_tiles,
		 t->need_fpu_load ? ", TIF_NEED_FPU_LOAD" : "",
		 t->in_signal ? ", in signal delivery" : "");
}

static void print_changes(FILE *out, const struct world_config *config, const struct world *before,
			  const struct world *after)
{
	char a[SCENARIO_TEXT_LEN], b[SCENARIO_TEXT_LEN];

	for (uint32_t i = 0; i < config->nr_pcpus; i++) {
		describe_pcpu(before, config, i, a);
		describe_pcpu(after, config, i, b);
		if (strcmp(a, b))
			fprintf(out, "       %s\n", b);
	}
	for (uint32_t i = 0; i < config->nr_vcpus; i++) {
		describe_vcpu(before, i, a);
		describe_vcpu(after, i, b);
		if (strcmp(a, b))
			fprintf(out, "       %s\n", b);
	}
	for (uint32_t i = 0; i < config->nr_tasks; i++) {
		describe_task(before, config, i, a);
		describe_task(after, config, i, b);
		if (strcmp(a, b))
			fprintf(out, "       %s\n", b);
	}
}

static void print_header_text(FILE *out, const struct scenario_setup *setup)
{
	fprintf(out, "kernel %s", setup->kernel.name);
	for (size_t i = 0; i < setup->nr_bugs; i++)
		fprintf(out, " with %s", setup->bugs[i]);
	fprintf(out, ", policy %s", setup->config.machine.policy->name);
}

void scenario_story(FILE *out, const struct scenario_setup *setup, int invariant,
		    const struct explore_violation *violation)
{
	const struct invariant_info *info = invariant_info((size_t)invariant);
	const struct world_config *config = &setup->config;
	struct world world, before;
	char text[SCENARIO_TEXT_LEN];
	bool dead = false;

	world_init(&world, config);
	for (uint32_t i = 0; i < violation->nr; i++) {
		struct step_log log = {0};
		struct action action = violation->path[i];

		world_copy(&before, &world);
		dead = world_act(&world, action, &log) == MACHINE_HOST_NM;
		fprintf(out, "  %2" PRIu32 ". %-24s %s\n", i + 1,
			scenario_action_text(config, action, text),
			action_info(action.kind)->meaning);
		print_changes(out, config, &before, &world);
	}
	if (dead)
		fputs("      XRSTORS takes #NM in the host\n", out);
	fprintf(out, "  broken: I%d %s: %s\n  in a real kernel: %s\n", info->id, info->name,
		info->sentence, info->consequence);
}

static void write_setup(FILE *out, const struct scenario_setup *setup)
{
	const struct world_config *config = &setup->config;

	fprintf(out, "kernel %s\npolicy %s\n", setup->kernel.name, config->machine.policy->name);
	for (size_t i = 0; i < setup->nr_bugs; i++)
		fprintf(out, "inject %s\n", setup->bugs[i]);
	fprintf(out, "vcpus %" PRIu32 "\npcpus %" PRIu32 "\ntasks ", config->nr_vcpus,
		config->nr_pcpus);
	for (uint32_t i = 0; i < config->nr_tasks; i++)
		fputc(config->tasks[i] == TASK_N ? 'N' : 'A', out);
	fputs("K\n", out);
	if (config->kinds >> ACTION_xsetbv & 1)
		fputs("xcr0 reset\n", out);
	fputs("grain step\n", out);
}

void scenario_write(FILE *out, const struct scenario_setup *setup, int invariant,
		    const struct explore_violation *violation)
{
	const struct world_config *config = &setup->config;
	char text[SCENARIO_TEXT_LEN];
	uint32_t broken = 0;
	struct world world;
	bool dead = false;

	fprintf(out, "xfs 1\n# ");
	print_header_text(out, setup);
	fprintf(out, ": the shortest way to break I%d %s\n", invariant_info((size_t)invariant)->id,
		invariant_info((size_t)invariant)->name);
	write_setup(out, setup);
	world_init(&world, config);
	for (uint32_t i = 0; i < violation->nr; i++) {
		struct step_log log = {0};

		dead = world_act(&world, violation->path[i], &log) == MACHINE_HOST_NM;
		broken |= world.host.broken;
		fprintf(out, "%s\n", scenario_action_text(config, violation->path[i], text));
	}
	fputs("expect broken", out);
	for (size_t i = 0; i < NR_INVARIANTS; i++)
		if (broken >> i & 1)
			fprintf(out, " I%d", invariant_info(i)->id);
	fputc('\n', out);
	if (dead)
		fputs("expect dead\n", out);
}
