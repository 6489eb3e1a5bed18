/* SPDX-License-Identifier: MIT */
/*
 * Digests of phrases: what is in one, derived by hand from traces/phrase.h; how phrases are
 * learnt; and in packed traces, that they are used, checked and never more than a short cut.
 */
#include "tests/trace_files.h"

#include "tests/xft_reseal.h"
#include "traces/phrase.h"

static struct trace_event event(uint32_t vcpu, uint32_t kind, uint64_t arg)
{
	return (struct trace_event){.delta_cycles = 10, .arg = arg, .vcpu = vcpu, .kind = kind};
}

struct wanted {
	uint16_t vcpu;
	uint32_t times;
	uint8_t codes[8];
};

static void assert_digest(const struct trace_block *digest, const struct wanted *wanted, size_t nr)
{
	size_t at = 0;

	assert_non_null(digest);
	assert_int_equal(digest->nr_stretches, nr);
	assert_int_equal(digest->nr_args, 0);
	for (size_t s = 0; s < nr; s++) {
		size_t entries = wanted[s].times ? wanted[s].times : 1;

		assert_int_equal(digest->times[s], wanted[s].times);
		if (digest->vcpus)
			assert_int_equal(digest->vcpus[s], wanted[s].vcpu);
		for (size_t i = 0; i < entries; i++)
			assert_int_equal(digest->tags[at++], wanted[s].codes[i]);
	}
	assert_int_equal(at, digest->nr);
}

#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

static struct phrase_builder *builder_for_few(void)
{
	struct phrase_builder *builder = phrase_builder_new();

	assert_non_null(builder);
	builder->always = true;
	return builder;
}

/* Words: wrxfd 0, amx 1, cpuid 2. Phrases: 3 is 0 1, 4 is 0 1 2, 5 is 2 2. */
static const struct block_phrase phrases[] = {{0, 1}, {3, 2}, {2, 2}};

static void the_longest_phrase_is_taken_vcpu_by_vcpu(void **state)
{
	const struct trace_event events[] = {
		event(1, EVENT_wrxfd, 0),         /* 3 of vCPU 1 begins */
		event(0, EVENT_amx, 0),           /* no phrase begins so: the word */
		event(1, EVENT_amx, 0),           /* ... */
		event(0, EVENT_wrxfd, 0),         /* 4 begins */
		event(1, EVENT_wrxfd, 0),         /* 0 1 0 is no phrase: 3 ends, one begins */
		event(0, EVENT_amx, 0),           /* */
		event(0, EVENT_exit, EXIT_CPUID), /* 4 is whole */
		event(0, EVENT_exit, EXIT_CPUID), /* 5 ... */
		event(0, EVENT_exit, EXIT_CPUID), /* ... is whole */
		event(0, EVENT_exit, EXIT_CPUID), /* the word: there is no more */
	};
	static const struct wanted wanted[] = {{0, 4, {1, 4, 5, 2}}, {1, 2, {3, 0}}};
	struct phrase_builder *builder = builder_for_few();
	static struct block_builder blocks;
	const struct trace_block *block, *digest;

	(void)state;
	block_builder_init(&blocks, 2200000);
	block = block_build(&blocks, events, ROWS(events), false);
	digest = phrase_build(builder, block, 2, 2, phrases, ROWS(phrases));
	assert_digest(digest, wanted, ROWS(wanted));
	assert_int_equal(digest->nr_events, ROWS(events));
	assert_int_equal(digest->nr_phrases, ROWS(phrases));
	assert_int_equal(digest->guest_cycles, 100);
	/* 6 entries, 2 stretches and 3 phrases are more than half of 10 events. */
	builder->always = false;
	assert_null(phrase_build(builder, block, 2, 2, phrases, ROWS(phrases)));
	assert_null(phrase_build(builder, block, PHRASE_MAX_VCPUS + 1, 2, phrases, ROWS(phrases)));
	phrase_builder_free(builder);
}

/* Words: hlt 0, wake 1, cpuid 2, resume p1 3, preempt 4. The phrase 5 is hlt wake. */
static void arrivals_that_may_find_somebody_stand_in_their_places(void **state)
{
	const struct trace_event events[] = {
		event(0, EVENT_hlt, 10),
		event(0, EVENT_wake, EVENT_SAME_PCPU), /* the first of vCPU 0: in its place */
		event(1, EVENT_exit, EXIT_CPUID),
		event(0, EVENT_hlt, 20),
		event(1, EVENT_hlt, 30),
		event(0, EVENT_wake, EVENT_SAME_PCPU), /* the second: part of a phrase */
		event(1, EVENT_wake, EVENT_SAME_PCPU), /* the first of vCPU 1 */
		event(2, EVENT_resume, 1),             /* by name: in its place */
		event(2, EVENT_preempt, TASK_K),
		event(0, EVENT_hlt, 40),
		event(0, EVENT_wake, EVENT_SAME_PCPU), /* the first since then */
		event(2, EVENT_resume, 1),             /* by name */
		event(1, EVENT_hlt, 50),
		event(1, EVENT_wake, EVENT_SAME_PCPU), /* the first since then */
		event(1, EVENT_hlt, 50),
		event(1, EVENT_wake, EVENT_SAME_PCPU), /* a phrase */
	};
	static const struct block_phrase hlt_wake[] = {{0, 1}};
	static const struct wanted own[] = {
		{0, 1, {0}}, {0, 0, {1}}, {0, 1, {5}}, {1, 2, {2, 0}}, {1, 0, {1}},
		{2, 0, {3}}, {0, 1, {0}}, {2, 1, {4}}, {0, 0, {1}},    {2, 0, {3}},
		{1, 1, {0}}, {1, 0, {1}}, {1, 1, {5}},
	};
	/* Where vCPUs share, every arrival. */
	static const struct wanted shared[] = {
		{0, 1, {0}}, {0, 0, {1}}, {0, 1, {0}}, {1, 2, {2, 0}}, {0, 0, {1}},
		{1, 0, {1}}, {2, 0, {3}}, {0, 1, {0}}, {2, 1, {4}},    {0, 0, {1}},
		{2, 0, {3}}, {1, 1, {0}}, {1, 0, {1}}, {1, 1, {0}},    {1, 0, {1}},
	};
	struct phrase_builder *builder = builder_for_few();
	static struct block_builder blocks;
	const struct trace_block *block;

	(void)state;
	block_builder_init(&blocks, 2200000);
	block = block_build(&blocks, events, ROWS(events), false);
	assert_digest(phrase_build(builder, block, 3, 3, hlt_wake, 1), own, ROWS(own));
	assert_digest(phrase_build(builder, block, 3, 2, hlt_wake, 1), shared, ROWS(shared));
	phrase_builder_free(builder);
}

/*
 * The digest as traces/FORMAT.md has it, made plainly: vCPU by vCPU, from left to right, looking
 * through all phrases.
 */
struct plain {
	size_t nr;
	size_t nr_stretches;
	uint8_t codes[1024];
	uint16_t vcpus[1024];
	uint32_t times[1024];
};

static void plain_stretch(struct plain *p, const struct trace_block *block, size_t from, size_t to,
			  uint32_t vcpu, const struct block_phrase *phrase, size_t nr)
{
	size_t before = p->nr;
	int code = -1;

	for (size_t i = from; i < to; i++) {
		int longer = -1;

		if (block->vcpus && block->vcpus[i] != vcpu)
			continue;
		for (size_t j = 0; j < nr; j++)
			if (phrase[j].prefix == code && phrase[j].word == block->tags[i])
				longer = (int)(block->nr_words + j);
		if (longer < 0 && code >= 0)
			p->codes[p->nr++] = (uint8_t)code;
		code = longer < 0 ? block->tags[i] : longer;
	}
	if (code < 0)
		return;
	p->codes[p->nr++] = (uint8_t)code;
	p->vcpus[p->nr_stretches] = (uint16_t)vcpu;
	p->times[p->nr_stretches++] = (uint32_t)(p->nr - before);
}

static void plain_digest(struct plain *p, const struct trace_block *block, uint32_t nr_vcpus,
			 bool shared, const struct block_phrase *phrase, size_t nr)
{
	bool settled[PHRASE_MAX_VCPUS] = {false};
	size_t from = 0;

	p->nr = p->nr_stretches = 0;
	for (size_t i = 0; i <= block->nr; i++) {
		const struct block_word *word = &block->word[i < block->nr ? block->tags[i] : 0];
		uint32_t vcpu = block->vcpus && i < block->nr ? block->vcpus[i] : 0;
		bool last = i == block->nr;

		if (!last && word->kind != EVENT_wake && word->kind != EVENT_resume)
			continue;
		if (!last && word->min != EVENT_SAME_PCPU) /* by name: nobody is settled */
			memset(settled, 0, sizeof(settled));
		if (!last && settled[vcpu] && !shared)
			continue;
		for (uint32_t v = 0; v < nr_vcpus; v++)
			plain_stretch(p, block, from, i, v, phrase, nr);
		if (last)
			break;
		settled[vcpu] = true;
		p->codes[p->nr++] = block->tags[i];
		p->vcpus[p->nr_stretches] = (uint16_t)vcpu;
		p->times[p->nr_stretches++] = 0;
		from = i + 1;
	}
}

/* A trie without a phrase twice. */
static size_t random_phrases(uint64_t *seed, size_t nr_words, size_t wanted,
			     struct block_phrase *phrase)
{
	size_t nr = 0;

	for (size_t i = 0; i < wanted; i++) {
		uint8_t prefix = (uint8_t)(random_next(seed) % (nr_words + nr));
		uint8_t word = (uint8_t)(random_next(seed) % nr_words);
		bool is_new = true;

		for (size_t j = 0; j < nr; j++)
			is_new &= phrase[j].prefix != prefix || phrase[j].word != word;
		if (is_new)
			phrase[nr++] = (struct block_phrase){prefix, word};
	}
	return nr;
}

static void any_block_is_as_if_made_plainly(void **state)
{
	static const uint32_t kinds[] = {EVENT_wrxfd, EVENT_amx,    EVENT_exit,
					 EVENT_hlt,   EVENT_resume, EVENT_wake};
	static const uint32_t nr_vcpus[] = {1, 2, 3, 17, PHRASE_MAX_VCPUS};
	struct phrase_builder *builder = builder_for_few();
	static struct block_builder blocks;
	static struct plain plain;
	uint64_t seed = 7;

	(void)state;
	for (int round = 0; round < 500; round++) {
		struct trace_event events[500];
		struct block_phrase phrase[BLOCK_MAX_PHRASES];
		uint32_t vcpus = nr_vcpus[round % 5];
		size_t nr = 1 + random_next(&seed) % ROWS(events), nr_phrases;
		size_t rare = 1 + (size_t)round % 40; /* arrivals: one event of so many */
		const struct trace_block *block, *digest;
		bool shared = vcpus > 1 && round % 7 == 0;

		for (size_t i = 0; i < nr; i++) {
			bool arrives = random_next(&seed) % rare == 0;
			uint32_t kind = kinds[arrives ? 4 + random_next(&seed) % 2
						      : random_next(&seed) % 4];
			uint64_t arg = arrives && random_next(&seed) % 3 ? EVENT_SAME_PCPU : 0;

			events[i] = event((uint32_t)(random_next(&seed) % vcpus), kind, arg);
		}
		block_builder_init(&blocks, 2200000);
		block = block_build(&blocks, events, nr, vcpus == 1);
		nr_phrases =
			random_phrases(&seed, block->nr_words, 1 + random_next(&seed) % 60, phrase);
		digest = phrase_build(builder, block, vcpus, shared ? vcpus - 1 : vcpus, phrase,
				      nr_phrases);
		plain_digest(&plain, block, vcpus, shared, phrase, nr_phrases);
		assert_non_null(digest);
		assert_int_equal(digest->nr, plain.nr);
		assert_int_equal(digest->nr_stretches, plain.nr_stretches);
		assert_memory_equal(digest->tags, plain.codes, plain.nr);
		assert_memory_equal(digest->times, plain.times, 4 * plain.nr_stretches);
		if (vcpus > 1)
			assert_memory_equal(digest->vcpus, plain.vcpus, 2 * plain.nr_stretches);
	}
	phrase_builder_free(builder);
}

/* A cycle of four words, as columns; @reason tells two of them apart. */
static const struct trace_block *cycle_block(struct block_builder *blocks, uint64_t reason)
{
	static struct trace_event events[4096];

	block_builder_init(blocks, 2200000);
	for (size_t i = 0; i < ROWS(events); i++)
		events[i] = i % 4 == 0   ? event(0, EVENT_wrxfd, 0)
			    : i % 4 == 1 ? event(0, EVENT_amx, 0)
			    : i % 4 == 2 ? event(0, EVENT_exit, reason)
					 : event(0, EVENT_hlt, i);
	return block_build(blocks, events, ROWS(events), true);
}

static void phrases_are_learnt_and_found_again_under_other_numbers(void **state)
{
	static struct block_builder blocks, others;
	const struct trace_block *block = cycle_block(&blocks, EXIT_CPUID), *other;
	struct phrase_builder *builder = phrase_builder_new();
	struct phrase_book book = {0}, before;
	struct block_phrase phrase[BLOCK_MAX_PHRASES];
	struct trace_block turned;
	size_t nr;

	(void)state;
	assert_non_null(builder);
	phrase_teach(&book, builder, block, 1, 1, blocks.sleep);
	nr = phrase_bind(&book, block, blocks.sleep, phrase);
	assert_int_equal(nr, book.nr);
	assert_non_null(phrase_build(builder, block, 1, 1, phrase, nr));
	/* Eight misses make a phrase: some of 4096 / 8 words at the most, not of 4. */
	assert_in_range(builder->digest.nr, 4096 / 512, 4096 / 16);
	/* The same is no worse: nothing is learnt. */
	before = book;
	phrase_teach(&book, builder, block, 1, 1, blocks.sleep);
	assert_memory_equal(&book, &before, sizeof(book));
	/* Words in another order, and one that is in no phrase. */
	turned = *block;
	for (size_t i = 0; i < 4; i++)
		turned.word[4 - i] = block->word[i];
	turned.word[0] = (struct block_word){EXIT_FASTPATH, EXIT_FASTPATH, EVENT_exit, false};
	turned.nr_words = 5;
	assert_int_equal(phrase_bind(&book, &turned, blocks.sleep, phrase), nr);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(phrase[i].word, 4 - book.phrase[i].word);
	/* Without a word there are no phrases of it; and then the book is made anew. */
	other = cycle_block(&others, EXIT_IO_INSTRUCTION);
	nr = phrase_bind(&book, other, blocks.sleep, phrase);
	assert_true(nr < book.nr);
	for (size_t i = 0; i < nr; i++)
		assert_int_not_equal(other->word[phrase[i].word].kind, EVENT_exit);
	phrase_teach(&book, builder, other, 1, 1, blocks.sleep);
	assert_memory_not_equal(&book, &before, sizeof(book));
	assert_int_equal(book.cost, before.cost);
	phrase_builder_free(builder);
}

/* A book is for all of a block, not for how it begins; whatever is learnt from, learns. */
static void a_lesson_is_about_the_whole_block(void **state)
{
	static struct trace_event events[TRACE_BLOCK_EVENTS];
	static struct block_builder blocks;
	struct phrase_builder *builder = phrase_builder_new();
	struct phrase_book book = {0};
	struct block_phrase phrase[BLOCK_MAX_PHRASES];
	const struct trace_block *block;
	size_t nr;

	(void)state;
	assert_non_null(builder);
	for (size_t i = 0; i < ROWS(events); i++) {
		uint64_t later = i * 4 / ROWS(events) * 2; /* each quarter has words of its own */

		events[i] = event(i % 2, EVENT_wrxfd, later + i / 2 % 2);
	}
	block_builder_init(&blocks, 2200000);
	block = block_build(&blocks, events, ROWS(events), false);
	phrase_teach(&book, builder, block, 2, 2, blocks.sleep);
	nr = phrase_bind(&book, block, blocks.sleep, phrase);
	assert_non_null(phrase_build(builder, block, 2, 2, phrase, nr));
	/* By phrases of 8 words at least, in each quarter. */
	assert_true(builder->digest.nr < ROWS(events) / 8);
	assert_int_equal(book.cost, builder->digest.nr + builder->digest.nr_stretches + nr);
	phrase_builder_free(builder);
}

/* Two vCPUs in a cycle with an exit that varies, two blocks and a rest without a digest. */
enum { FULL = 2 * TRACE_BLOCK_EVENTS, ALL = FULL + 3 };

static struct bytes busy_file(void)
{
	static const struct trace_event cycle[] = {
		{.kind = EVENT_wrxfd, .arg = 0},
		{.kind = EVENT_amx},
		{.kind = EVENT_wrxfd, .arg = 0x40000},
		{.kind = EVENT_hlt, .arg = 1000},
		{.kind = EVENT_wake, .arg = EVENT_SAME_PCPU},
		{.kind = EVENT_exit},
	};
	static const int reasons[] = {EXIT_CPUID, EXIT_FASTPATH, EXIT_IO_INSTRUCTION,
				      EXIT_USERSPACE};
	struct whole *trace = whole_random(3, ALL);
	struct xfd_error err = {0};

	trace->info.nr_vcpus = trace->info.nr_pcpus = 2;
	trace->flags[0] = trace->flags[1] = 0;
	for (size_t i = 0; i < ALL; i++) {
		trace->events[i] = cycle[i / 2 % 6];
		if (trace->events[i].kind == EVENT_exit)
			trace->events[i].arg =
				(uint64_t)reasons[i * UINT32_C(2654435761) >> 20 & 3];
		trace->events[i].delta_cycles = 10;
		trace->events[i].vcpu = i % 2;
	}
	assert_int_equal(whole_write(trace, scratch_path("t.xft"), &err), 0);
	whole_free(trace);
	return file_load(scratch_path("t.xft"));
}

/* Read with digests; they are expanded if @expand. Returns the events, -1 after a refusal. */
static long read_digests(const uint8_t *data, size_t len, bool expand, size_t *nr_digests,
			 struct xfd_error *err)
{
	const struct trace_block *block;
	struct trace_reader *reader;
	size_t nr = 0;
	int ret;

	*err = (struct xfd_error){0};
	*nr_digests = 0;
	if (trace_reader_open_memory("memory", data, len, &reader, err))
		return -1;
	while (!(ret = trace_reader_next_digest(reader, &block, err)) && block) {
		uint64_t wrxfds = block->count[EVENT_wrxfd];

		nr += block->nr_events;
		*nr_digests += block->nr_phrases > 0;
		if (!expand || !block->nr_phrases)
			continue;
		ret = trace_reader_expand(reader, &block, err);
		if (ret)
			break;
		assert_int_equal(block->nr_phrases, 0);
		assert_null(block->times);
		assert_int_equal(block->count[EVENT_wrxfd], wrxfds);
	}
	trace_reader_close(reader);
	return ret ? -1 : (long)nr;
}

static void a_file_can_be_read_with_and_without_them(void **state)
{
	struct bytes file = busy_file();
	struct xfd_error err = {0};
	struct xft_parts parts;
	struct whole *whole;
	size_t nr_digests;

	(void)state;
	xft_reseal(file.data, file.len, &parts);
	assert_int_equal(parts.nr_blocks, 3);
	assert_true(parts.digest[0] && parts.digest[1] && !parts.digest[2]);
	assert_int_equal(read_digests(file.data, file.len, false, &nr_digests, &err), ALL);
	assert_int_equal(nr_digests, 2);
	assert_int_equal(read_digests(file.data, file.len, true, &nr_digests, &err), ALL);
	assert_int_equal(nr_digests, 2);
	whole = whole_read_memory(file.data, file.len, &err);
	assert_non_null(whole);
	assert_int_equal(whole->nr, ALL);
	whole_free(whole);
	free(file.data);
	scratch_entries(true);
}

/* Where the parts of the first digest's payload begin, in it; from traces/FORMAT.md. */
struct places {
	size_t codes, vcpus, times, phrases, end;
	unsigned int code_bits, times_width;
	size_t nr, nr_words, nr_phrases, nr_stretches;
};

static struct places find_places(const uint8_t *digest)
{
	const uint8_t *payload = digest + 48;
	struct places p = {
		.nr = le32_load(digest + 4),
		.nr_phrases = le16_load(digest + 28),
		.nr_stretches = le16_load(digest + 30),
		.nr_words = (size_t)le16_load(payload) + 1,
		.code_bits = payload[2],
	};

	assert_int_equal(payload[3], 1); /* two vCPUs: one bit */
	assert_int_equal(p.code_bits, 8);
	p.codes = 48 + 40 + 20 * p.nr_words;
	p.vcpus = p.codes + p.nr;
	p.times = p.vcpus + (p.nr_stretches + 7) / 8;
	p.times_width = digest[p.times];
	p.phrases = p.times + 16 + p.nr_stretches * p.times_width;
	p.end = p.phrases + 2 * p.nr_phrases;
	assert_int_equal(p.end, 48 + le32_load(digest + 20));
	return p;
}

enum where { HEADER, CODES, TIMES, PHRASES };

/* Checksums right, contents wrong. */
static void a_digest_that_lies_is_refused(void **state)
{
	static const struct {
		enum where where;
		size_t at;
		int set; /* the byte there */
		const char *text;
	} rows[] = {
		{HEADER, 6, 1, "makes no sense"},              /* 65,536 entries more */
		{HEADER, 28, 217, "makes no sense"},           /* phrases */
		{HEADER, 28, 0, "makes no sense"},             /* none, but stretches */
		{HEADER, 30, 0, "makes no sense"},             /* no stretches, but phrases */
		{HEADER, 31, 255, "makes no sense"},           /* more stretches than entries */
		{HEADER, 4, 1, "digest that does not add up"}, /* entries */
		{HEADER, 48 + 9, 1, "impossible columns"},
		{CODES, 0, 255, "digest that does not add up"},   /* no such phrase */
		{CODES, 100, 0, "digest that does not add up"},   /* fewer events */
		{TIMES, 0, 9, "digest that does not add up"},     /* width */
		{TIMES, 16, 0, "digest that does not add up"},    /* alone, but no arrival */
		{TIMES, 16, 77, "digest that does not add up"},   /* another length */
		{PHRASES, 0, 200, "digest that does not add up"}, /* prefix not known yet */
		{PHRASES, 1, 200, "digest that does not add up"}, /* no word */
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct bytes file = busy_file();
		struct xft_parts parts;
		struct places places;
		struct xfd_error err = {0};
		uint8_t *digest;
		size_t nr;

		xft_reseal(file.data, file.len, &parts);
		digest = file.data + parts.digest[0];
		places = find_places(digest);
		digest[rows[i].at + (rows[i].where == CODES     ? places.codes
				     : rows[i].where == TIMES   ? places.times
				     : rows[i].where == PHRASES ? places.phrases
								: 0)] = (uint8_t)rows[i].set;
		xft_reseal(file.data, file.len, &parts);
		assert_null(whole_read_memory(file.data, file.len, &err));
		assert_error(&err, XFD_ERROR_INPUT, rows[i].text);
		assert_int_equal(read_digests(file.data, file.len, false, &nr, &err), -1);
		free(file.data);
	}
	scratch_entries(true);
}

/* Right sums, wrong order: only the block itself can tell. */
static void a_digest_in_another_order_is_refused_by_whoever_reads_the_block(void **state)
{
	struct bytes file = busy_file();
	struct xft_parts parts;
	struct places places;
	struct xfd_error err = {0};
	uint8_t *codes, first;
	size_t nr, other = 1;

	(void)state;
	xft_reseal(file.data, file.len, &parts);
	places = find_places(file.data + parts.digest[0]);
	codes = file.data + parts.digest[0] + places.codes;
	/* The first stretch that is no arrival has more entries than one that are not equal. */
	while (codes[places.nr - 1] == codes[places.nr - 1 - other])
		other++;
	first = codes[places.nr - 1];
	codes[places.nr - 1] = codes[places.nr - 1 - other];
	codes[places.nr - 1 - other] = first;
	xft_reseal(file.data, file.len, &parts);
	assert_int_equal(read_digests(file.data, file.len, false, &nr, &err), ALL);
	err = (struct xfd_error){0};
	assert_null(whole_read_memory(file.data, file.len, &err));
	assert_error(&err, XFD_ERROR_INPUT, "the digest does not agree with its block");
	assert_int_equal(err.offset, parts.digest[0]);
	free(file.data);
	scratch_entries(true);
}

/* Each byte of the digest counts, and the digest can be cut off anywhere. */
static void flipped_and_missing_bytes_are_noticed(void **state)
{
	struct bytes file = busy_file();
	struct xft_parts parts;
	struct xfd_error err;
	size_t nr;

	(void)state;
	xft_reseal(file.data, file.len, &parts);
	for (size_t at = parts.digest[0]; at < parts.block[0]; at += 1 + at % 3) {
		uint8_t *copy = malloc(at);

		memcpy(copy, file.data, at);
		assert_int_equal(read_digests(copy, at, false, &nr, &err), -1);
		assert_error(&err, XFD_ERROR_INPUT, "interrupted after 0 whole blocks, 0 events");
		free(copy);
		file.data[at] ^= 0x10;
		assert_int_equal(read_digests(file.data, file.len, false, &nr, &err), -1);
		assert_int_equal(err.kind, XFD_ERROR_INPUT);
		file.data[at] ^= 0x10;
	}
	free(file.data);
	scratch_entries(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_phrase_is_taken_vcpu_by_vcpu),
		cmocka_unit_test(arrivals_that_may_find_somebody_stand_in_their_places),
		cmocka_unit_test(any_block_is_as_if_made_plainly),
		cmocka_unit_test(phrases_are_learnt_and_found_again_under_other_numbers),
		cmocka_unit_test(a_lesson_is_about_the_whole_block),
		cmocka_unit_test(a_file_can_be_read_with_and_without_them),
		cmocka_unit_test(a_digest_that_lies_is_refused),
		cmocka_unit_test(a_digest_in_another_order_is_refused_by_whoever_reads_the_block),
		cmocka_unit_test(flipped_and_missing_bytes_are_noticed),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
