/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "sim/cli.h"
#include "sim/scenario.h"

struct args {
	char **files;
	int nr;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	(void)arg;
	switch (key) {
	case 'j':
		args->json = true;
		return 0;
	case ARGP_KEY_ARGS:
		args->files = state->argv + state->next;
		args->nr = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		cli_usage(state, "which scenario?");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Return: the exit status that this file alone would give; one that cannot be run stops no other.
 */
static int run(const char *file, bool json, FILE *out, json_t *results)
{
	char why[SCENARIO_TEXT_LEN], line[1024];
	struct xfd_error err = {0};
	bool passed;

	if (scenario_run(file, &passed, why, &err)) {
		json_array_append_new(
			results, json_pack("{ss sb ss}", "file", file, "passed", false, "error",
					   xfd_error_format(&err, line, sizeof(line))));
		return cli_fail(&err);
	}
	json_array_append_new(results,
			      json_pack("{ss sb ss}", "file", file, "passed", passed, "why", why));
	if (!json)
		fprintf(out, "%s %s%s%s\n", passed ? "PASS" : "FAIL", file, passed ? "" : ": ",
			why);
	return passed ? XFDSIM_OK : XFDSIM_NO;
}

int cmd_scenario(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"json", 'j', NULL, 0, "Print JSON", 0},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "FILE...",
		.doc = "Run scenario files (.xfs with `expect` lines; - for standard input) and "
		       "say of "
		       "each whether every expectation was met. The language is documented in "
		       "tests/scenarios/README.md; 'xfdsim check' writes its counterexamples in it."
		       "\vExit status: 0 all passed, 1 one failed, 3 one is malformed; the others "
		       "run.",
	};
	struct args args = {0};
	json_t *results;
	struct cli_output out;
	int status, worst = XFDSIM_OK;

	cli_parse(&argp, argc, argv, &args);
	status = cli_output_open(&out);
	if (status)
		return status;
	results = json_array();
	for (int i = 0; i < args.nr; i++) {
		status = run(args.files[i], args.json, out.text, results);
		worst = status > worst ? status : worst;
	}
	if (args.json)
		cli_output_json(&out, results);
	else
		json_decref(results);
	return cli_output_close(&out, NULL, worst);
}
