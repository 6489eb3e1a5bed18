/* SPDX-License-Identifier: MIT */
/**
 * DOC: Threads that run jobs, for work whose results are used in order.
 *
 * Whoever waits for a job runs others meanwhile, so a pool of one has no thread of its own and
 * nothing depends on how many there are: jobs must not depend on each other, and their owner
 * waits for them in the order in which it uses them.
 */
#ifndef TRACES_POOL_H
#define TRACES_POOL_H

#include <stdbool.h>

enum { POOL_MAX_THREADS = 256 };

struct pool;

/**
 * struct pool_job - A piece of work; its owner keeps the memory.
 * @run:  called once for each submission, from any thread
 * @arg:  for @run
 * @next: the pool's
 * @done: the pool's; see pool_wait()
 */
struct pool_job {
	void (*run)(void *arg);
	void *arg;
	struct pool_job *next;
	bool done;
};

/**
 * pool_new() - Start threads.
 * @threads: 1 to POOL_MAX_THREADS, the caller's included. Threads that cannot be had are done
 *           without.
 *
 * Return: a pool, NULL without memory.
 */
struct pool *pool_new(unsigned int threads);

/** pool_threads() - How many there are, the caller's included. */
unsigned int pool_threads(const struct pool *pool);

/** pool_submit() - @job is to run; it is not waiting or running already. */
void pool_submit(struct pool *pool, struct pool_job *job);

/** pool_wait() - Return when @job, which was submitted, has run. Run other jobs meanwhile. */
void pool_wait(struct pool *pool, struct pool_job *job);

/** pool_free() - End the threads; every job was waited for. NULL is allowed. */
void pool_free(struct pool *pool);

#endif /* TRACES_POOL_H */
