/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/model.h"

#include <errno.h>

#include "ctl/bus.h"
#include "ctl/util.h"

static int compare_groups(const void *a, const void *b)
{
	const struct model_group *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int compare_devices(const void *a, const void *b)
{
	const struct model_device *x = a, *y = b;

	return address_compare(x->address, y->address);
}

static struct model_group *find_group_by_path(struct model *model, const char *path)
{
	for (size_t i = 0; i < model->n_groups; i++)
		if (streq(model->groups[i].path, path))
			return &model->groups[i];
	return NULL;
}

/* Endpoints before bridges: they are what a person looks for, and lists are cut at the end. */
static int add_members(struct model *model, struct model_group *group, bool bridges)
{
	for (size_t i = 0; i < model->n_devices; i++) {
		struct model_device *device = &model->devices[i];
		struct model_device **more;

		if (device->group != group || device->bridge != bridges)
			continue;
		more = reallocarray(group->devices, group->n_devices + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		group->devices = more;
		group->devices[group->n_devices++] = device;
	}
	return 0;
}

int model_link(struct model *model)
{
	int r = 0;

	if (model->n_groups > 0)
		qsort(model->groups, model->n_groups, sizeof(*model->groups), compare_groups);
	if (model->n_devices > 0)
		qsort(model->devices, model->n_devices, sizeof(*model->devices), compare_devices);

	for (size_t i = 0; i < model->n_devices; i++)
		model->devices[i].group = find_group_by_path(model, model->devices[i].group_path);
	for (size_t i = 0; i < model->n_groups && r >= 0; i++) {
		r = add_members(model, &model->groups[i], false);
		if (r >= 0)
			r = add_members(model, &model->groups[i], true);
	}
	return r;
}

const struct model_group *model_find_group(const struct model *model, uint32_t id)
{
	for (size_t i = 0; i < model->n_groups; i++)
		if (model->groups[i].id == id)
			return &model->groups[i];
	return NULL;
}

const struct model_device *model_find_device(const struct model *model, const char *address)
{
	for (size_t i = 0; i < model->n_devices; i++)
		if (streq(model->devices[i].address, address))
			return &model->devices[i];
	return NULL;
}

int model_find_target(const struct ctl *ctl, const struct model *model,
		      const struct target *target, const struct model_group **group,
		      const struct model_device **device)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

	*device = NULL;

	if (target->kind == TARGET_GROUP) {
		*group = model_find_group(model, target->group);
		if (*group)
			return 0;
		sd_bus_error_setf(&error, BUS_ERROR_NO_SUCH_GROUP, "there is no group %u",
				  target->group);
		return bus_complain(ctl, NULL, &error, -ENXIO);
	}

	*device = model_find_device(model, target->address);
	if (!*device) {
		sd_bus_error_setf(&error, BUS_ERROR_NO_SUCH_DEVICE, "there is no device %s",
				  target->address);
		return bus_complain(ctl, NULL, &error, -ENXIO);
	}
	*group = (*device)->group;
	return 0;
}

char *model_rule_place(const struct model_rule *rule)
{
	char *ret;

	if (!*rule->file)
		return strdup("");
	return asprintf(&ret, "%s:%u", rule->file, rule->line) < 0 ? NULL : ret;
}

size_t model_n_files(const struct model_manager *manager)
{
	size_t n = 0;

	for (char **p = manager->files; p && *p; p++)
		n++;
	return n;
}

static void clear_rule(struct model_rule *rule)
{
	free(rule->file);
	free(rule->name);
}

static void clear_group(struct model_group *group)
{
	char *const strings[] = { group->path,	 group->type,	    group->boot_type,
				  group->target, group->state,	    group->reason,
				  group->owner,	 group->error_name, group->error_message };

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < group->n_regions; i++)
		free(group->regions[i].kind);
	for (size_t i = 0; i < group->n_rules; i++)
		clear_rule(&group->rules[i]);
	free(group->regions);
	free(group->rules);
	free(group->devices);
}

static void clear_device(struct model_device *device)
{
	free(device->path);
	free(device->address);
	free(device->driver);
	free(device->vendor_name);
	free(device->device_name);
	free(device->class_name);
	free(device->wish);
	free(device->group_path);
	clear_rule(&device->rule);
}

static void clear_strv(char **strv)
{
	for (char **p = strv; p && *p; p++)
		free(*p);
	free(strv);
}

static void clear_manager(struct model_manager *manager)
{
	free(manager->version);
	free(manager->mode);
	free(manager->backend);
	for (size_t i = 0; i < manager->n_errors; i++) {
		free(manager->errors[i].file);
		free(manager->errors[i].key);
		free(manager->errors[i].message);
	}
	free(manager->errors);
	clear_strv(manager->files);
	clear_strv(manager->features);
}

void model_clear(struct model *model)
{
	for (size_t i = 0; i < model->n_groups; i++)
		clear_group(&model->groups[i]);
	for (size_t i = 0; i < model->n_devices; i++)
		clear_device(&model->devices[i]);
	free(model->groups);
	free(model->devices);
	clear_manager(&model->manager);
	*model = (struct model){ 0 };
}
