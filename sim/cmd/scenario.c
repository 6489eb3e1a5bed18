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
		       "\vExit status: 0 all passed, 1 one failed.",
	};
	json_t *results = json_array();
	struct args args = {0};
	struct cli_output out;
	int status, nr_failed = 0;

	cli_parse(&argp, argc, argv, &args);
	status = cli_output_open(&out);
	for (int i = 0; i < args.nr && !status; i++) {
		char why[SCENARIO_TEXT_LEN];
		struct xfd_error err = {0};
		bool passed;

		if (scenario_run(args.files[i], &passed, why, &err)) {
			json_decref(results);
			cli_output_close(&out, NULL, XFDSIM_OK);
			return cli_fail(&err);
		}
		nr_failed += !passed;
		json_array_append_new(results, json_pack("{ss sb ss}", "file", args.files[i],
							 "passed", passed, "why", why));
		if (!args.json)
			fprintf(out.text, "%s %s%s%s\n", passed ? "PASS" : "FAIL", args.files[i],
				passed ? "" : ": ", why);
	}
	if (status) {
		json_decref(results);
		return status;
	}
	if (args.json)
		cli_output_json(&out, results);
	else
		json_decref(results);
	return cli_output_close(&out, NULL, nr_failed ? XFDSIM_NO : XFDSIM_OK);
}
