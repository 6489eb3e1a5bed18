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

const struct xfd_policy *policy_find(const char *name)
{
	const struct xfd_policy *policy;

	for (size_t i = 0; (policy = policy_at(i)); i++)
		if (!strcmp(policy->name, name))
			return policy;
	return NULL;
}
