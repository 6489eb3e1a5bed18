/* SPDX-License-Identifier: MIT */
/** DOC: Plots of an analysis for a terminal: plain characters, at most 78 columns. */
#ifndef SIM_PLOT_H
#define SIM_PLOT_H

#include <jansson.h>
#include <stdio.h>

/**
 * plot_bars() - One bar a policy, as long as its overhead, made of its groups of steps.
 * @group: of an analysis
 * @out:   where to
 */
void plot_bars(const json_t *group, FILE *out);

/**
 * plot_tornado() - One bar a step: the margin over the step's range of prices.
 * @group: of an analysis
 * @out:   where to
 */
void plot_tornado(const json_t *group, FILE *out);

/**
 * plot_map() - Where trapping and where passing through costs less, with the traces in it.
 * @doc: an analysis
 * @out: where to
 */
void plot_map(const json_t *doc, FILE *out);

#endif /* SIM_PLOT_H */
