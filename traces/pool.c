/* SPDX-License-Identifier: MIT */
#include "traces/pool.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * @lock:  of all that follows and of the jobs' @next and @done
 * @work:  a job was submitted, or @quit
 * @ended: a job has run
 */
struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t ended;
	struct pool_job *first;
	struct pool_job **last;
	bool quit;
	unsigned int nr;
	pthread_t threads[];
};

/* Take the oldest job and run it. The lock is held before and after. */
static void run_one(struct pool *pool)
{
	struct pool_job *job = pool->first;

	pool->first = job->next;
	if (!pool->first)
		pool->last = &pool->first;
	pthread_mutex_unlock(&pool->lock);
	job->run(job->arg);
	pthread_mutex_lock(&pool->lock);
	job->done = true;
	pthread_cond_broadcast(&pool->ended);
}

static void *work(void *arg)
{
	struct pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	while (!pool->quit) {
		if (pool->first)
			run_one(pool);
		else
			pthread_cond_wait(&pool->work, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

struct pool *pool_new(unsigned int threads)
{
	struct pool *pool = calloc(1, sizeof(*pool) + threads * sizeof(*pool->threads));

	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->ended, NULL);
	pool->last = &pool->first;
	while (pool->nr + 1 < threads &&
	       !pthread_create(&pool->threads[pool->nr], NULL, work, pool))
		pool->nr++;
	return pool;
}

unsigned int pool_threads(const struct pool *pool)
{
	return pool->nr + 1;
}

void pool_submit(struct pool *pool, struct pool_job *job)
{
	pthread_mutex_lock(&pool->lock);
	job->next = NULL;
	job->done = false;
	*pool->last = job;
	pool->last = &job->next;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

void pool_wait(struct pool *pool, struct pool_job *job)
{
	pthread_mutex_lock(&pool->lock);
	while (!job->done) {
		if (pool->first)
			run_one(pool);
		else
			pthread_cond_wait(&pool->ended, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->quit = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->nr; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->ended);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
