/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/document.h"

#include "ctl/util.h"

void document_text(struct json_builder *b, json_object *parent, const char *key, const char *text)
{
	json_add_text(b, parent, key, text && *text ? text : NULL);
}

static void add_texts(struct json_builder *b, json_object *parent, const char *key,
		      char *const *texts)
{
	json_object *array = json_add_array(b, parent, key);

	for (char *const *p = texts; p && *p; p++)
		json_add_text(b, array, NULL, *p);
}

void document_rule(struct json_builder *b, json_object *parent, const char *key,
		   const struct model_rule *rule)
{
	json_object *object;

	if (!*rule->file && !*rule->name) {
		json_add_null(b, parent, key);
		return;
	}
	object = json_add_object(b, parent, key);
	document_text(b, object, "name", rule->name);
	document_text(b, object, "file", rule->file);
	if (rule->line > 0)
		json_add_number(b, object, "line", rule->line);
	else
		json_add_null(b, object, "line");
}

/* The bus has "[section] key", "[section]" or ""; ']' ends a section's name wherever it is. */
static void add_place(struct json_builder *b, json_object *parent, const char *text)
{
	const char *end = *text == '[' ? strchr(text, ']') : NULL;
	_cleanup_free_ char *section = end ? strndup(text + 1, (size_t)(end - text - 1)) : NULL;
	const char *key = end ? end + 1 : text;

	if (end && !section)
		b->failed = true;
	document_text(b, parent, "section", section);
	document_text(b, parent, "key", key + strspn(key, " "));
}

void document_policy(struct json_builder *b, json_object *parent,
		     const struct model_manager *manager)
{
	json_object *array;

	json_add_number(b, parent, "policy_generation", manager->generation);
	add_texts(b, parent, "policy_files", manager->files);
	array = json_add_array(b, parent, "policy_errors");

	for (size_t i = 0; i < manager->n_errors; i++) {
		const struct model_policy_error *error = &manager->errors[i];
		json_object *object = json_add_object(b, array, NULL);

		document_text(b, object, "file", error->file);
		if (error->line > 0)
			json_add_number(b, object, "line", error->line);
		else
			json_add_null(b, object, "line");
		add_place(b, object, error->key);
		document_text(b, object, "message", error->message);
	}
}

void document_manager(struct json_builder *b, json_object *parent, const char *key,
		      const struct model_manager *manager)
{
	json_object *object = json_add_object(b, parent, key);

	document_text(b, object, "version", manager->version);
	json_add_number(b, object, "interface_version", manager->interface_version);
	document_text(b, object, "mode", manager->mode);
	document_text(b, object, "backend", manager->backend);
	document_policy(b, object, manager);
	add_texts(b, object, "kernel_features", manager->features);
}

void document_device(struct json_builder *b, json_object *parent, const char *key,
		     const struct model_device *device)
{
	json_object *object = json_add_object(b, parent, key);

	document_text(b, object, "address", device->address);
	if (device->group)
		json_add_number(b, object, "group", device->group->id);
	else
		json_add_null(b, object, "group");
	json_add_number(b, object, "vendor_id", device->vendor);
	json_add_number(b, object, "device_id", device->device);
	json_add_number(b, object, "subsystem_vendor_id", device->subvendor);
	json_add_number(b, object, "subsystem_device_id", device->subdevice);
	json_add_number(b, object, "class", device->class_code);
	document_text(b, object, "vendor_name", device->vendor_name);
	document_text(b, object, "device_name", device->device_name);
	document_text(b, object, "class_name", device->class_name);
	document_text(b, object, "driver", device->driver);
	json_add_bool(b, object, "removable", device->removable);
	json_add_bool(b, object, "virtual_function", device->virtual_function);
	json_add_bool(b, object, "bridge", device->bridge);
	document_rule(b, object, "rule", &device->rule);
	document_text(b, object, "wish", device->wish);
}

static void add_regions(struct json_builder *b, json_object *parent,
			const struct model_group *group)
{
	json_object *array = json_add_array(b, parent, "reserved_regions");

	for (size_t i = 0; i < group->n_regions; i++) {
		json_object *object = json_add_object(b, array, NULL);

		json_add_number(b, object, "first", group->regions[i].first);
		json_add_number(b, object, "last", group->regions[i].last);
		document_text(b, object, "type", group->regions[i].kind);
	}
}

void document_group(struct json_builder *b, json_object *parent, const char *key,
		    const struct model_group *group)
{
	json_object *object = json_add_object(b, parent, key), *array;

	json_add_number(b, object, "id", group->id);
	document_text(b, object, "type", group->type);
	document_text(b, object, "boot_type", group->boot_type);
	document_text(b, object, "target", group->target);
	document_text(b, object, "state", group->state);
	document_text(b, object, "reason", group->reason);
	if (group->changed_usec > 0)
		json_add_number(b, object, "changed_usec", group->changed_usec);
	else
		json_add_null(b, object, "changed_usec");
	document_text(b, object, "owner", group->owner);
	json_add_bool(b, object, "requires_direct", group->requires_direct);
	json_add_bool(b, object, "set_at_run_time", group->set_at_run_time);
	json_add_bool(b, object, "drifted", group->drifted);

	array = json_add_array(b, object, "rules");
	for (size_t i = 0; i < group->n_rules; i++)
		document_rule(b, array, NULL, &group->rules[i]);
	if (*group->error_name) {
		json_object *error = json_add_object(b, object, "last_error");

		document_text(b, error, "name", group->error_name);
		document_text(b, error, "message", group->error_message);
	} else {
		json_add_null(b, object, "last_error");
	}
	add_regions(b, object, group);

	array = json_add_array(b, object, "devices");
	for (size_t i = 0; i < group->n_devices; i++)
		document_device(b, array, NULL, group->devices[i]);
}
