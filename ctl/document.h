/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_DOCUMENT_H
#define CTL_DOCUMENT_H

#include "ctl/json.h"
#include "ctl/model.h"

/*
 * What the model holds, for --json: a new object under KEY of PARENT, or at
 * PARENT's end where that is an array and KEY is NULL. The keys are documented
 * in iommu-policyctl(8) and stay. An empty string of the daemon's is null.
 */
void document_manager(struct json_builder *b, json_object *parent, const char *key,
		      const struct model_manager *manager);
void document_group(struct json_builder *b, json_object *parent, const char *key,
		    const struct model_group *group);
void document_device(struct json_builder *b, json_object *parent, const char *key,
		     const struct model_device *device);

/* {"name", "file", "line"}, or null where there is no rule. */
void document_rule(struct json_builder *b, json_object *parent, const char *key,
		   const struct model_rule *rule);

/* Which policy is in force: three members of PARENT itself. */
void document_policy(struct json_builder *b, json_object *parent,
		     const struct model_manager *manager);

/* "" is null. */
void document_text(struct json_builder *b, json_object *parent, const char *key, const char *text);

#endif
