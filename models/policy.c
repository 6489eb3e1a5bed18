/* SPDX-License-Identifier: MIT */
#include "models/policy.h"

#include <string.h>

#define XFD_POLICY(name) extern const struct xfd_policy policy_##name;
#include "models/policy_list.h"
#undef XFD_POLICY

static const struct xfd_policy *const policies[] = {
#define XFD_POLICY(name) &policy_##name,
#include "models/policy_list.h"
#undef XFD_POLICY
};

const struct xfd_policy *policy_at(size_t index)
{
	return index < sizeof(policies) / sizeof(policies[0]) ? policies[index] : NULL;
}

/* Is @word one of the words of @list? */
static bool has_word(const char *list, const char *word)
{
	size_t i;

	while (list && *list) {
		for (i = 0; word[i] && list[i] == word[i]; i++)
			;
		if (!word[i] && (!list[i] || list[i] == ' '))
			return true;
		while (*list && *list != ' ')
			list++;
		while (*list == ' ')
			list++;
	}
	return false;
}

enum policy_fit policy_fit(const struct xfd_policy *policy, const char *kernel)
{
	if (has_word(policy->unsafe_in, kernel))
		return POLICY_UNSAFE;
	return has_word(policy->upstream_in, kernel) ? POLICY_UPSTREAM : POLICY_WHAT_IF;
}

const struct xfd_policy *policy_find(const char *name)
{
	const struct xfd_policy *policy;

	for (size_t i = 0; (policy = policy_at(i)); i++)
		if (!strcmp(policy->name, name))
			return policy;
	return NULL;
}
