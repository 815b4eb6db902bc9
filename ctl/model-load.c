/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/model.h"

#include <errno.h>

#include "ctl/bus.h"
#include "ctl/model-props.h"
#include "ctl/names.h"
#include "ctl/util.h"

/* Strings that the daemon did not send are empty, so that nobody has to look. */
static int fill(char **const *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!*fields[i] && prop_set_string(fields[i], "") < 0)
			return -ENOMEM;
	return 0;
}

static int read_group(sd_bus_message *m, const char *path, struct model *model, sd_bus_error *error)
{
	struct model_group *more, *g;
	int r;

	more = reallocarray(model->groups, model->n_groups + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	model->groups = more;
	g = &more[model->n_groups++];
	*g = (struct model_group){ 0 };

	r = prop_set_string(&g->path, path);
	if (r >= 0)
		r = props_read(m, model_group_props, g, error);
	if (r < 0)
		return r;

	char **const fields[] = { &g->type,   &g->boot_type, &g->target,     &g->state,
				  &g->reason, &g->owner,     &g->error_name, &g->error_message };

	return fill(fields, ARRAY_SIZE(fields));
}

static int read_device(sd_bus_message *m, const char *path, struct model *model,
		       sd_bus_error *error)
{
	struct model_device *more, *d;
	int r;

	more = reallocarray(model->devices, model->n_devices + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	model->devices = more;
	d = &more[model->n_devices++];
	*d = (struct model_device){ 0 };

	r = prop_set_string(&d->path, path);
	if (r >= 0)
		r = props_read(m, model_device_props, d, error);
	if (r < 0)
		return r;

	char **const fields[] = { &d->address,	   &d->driver,	    &d->vendor_name,
				  &d->device_name, &d->class_name,  &d->group_path,
				  &d->rule.file,   &d->rule.name,   &d->wish };

	return fill(fields, ARRAY_SIZE(fields));
}

/* a{sa{sv}}: the interfaces of one object. */
static int read_interfaces(sd_bus_message *m, const char *path, struct model *model,
			   sd_bus_error *error)
{
	int r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");

	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
		const char *interface;

		r = sd_bus_message_read_basic(m, 's', &interface);
		if (r < 0)
			return r;
		if (streq(interface, BUS_GROUP))
			r = read_group(m, path, model, error);
		else if (streq(interface, BUS_DEVICE))
			r = read_device(m, path, model, error);
		else
			r = sd_bus_message_skip(m, "a{sv}");
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_objects(sd_bus_message *m, struct model *model, sd_bus_error *error)
{
	int r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");

	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
		const char *path;

		r = sd_bus_message_read_basic(m, 'o', &path);
		if (r >= 0)
			r = read_interfaces(m, path, model, error);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_manager(sd_bus_message *m, struct model *model, sd_bus_error *error)
{
	struct model_manager *manager = &model->manager;
	char **const fields[] = { &manager->version, &manager->mode, &manager->backend };
	int r = props_read(m, model_manager_props, manager, error);

	return r < 0 ? r : fill(fields, ARRAY_SIZE(fields));
}

/* A question on its way and, when it has come, its answer. */
struct question {
	sd_bus_slot *slot;
	sd_bus_message *reply;
};

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error _unused_)
{
	struct question *question = userdata;

	question->reply = sd_bus_message_ref(m);
	return 1;
}

static int ask(struct ctl *ctl, unsigned parts, struct question *objects, struct question *manager)
{
	int r = 0;

	if (parts & MODEL_OBJECTS)
		r = sd_bus_call_method_async(ctl->bus, &objects->slot, BUS_NAME, BUS_ROOT,
					     "org.freedesktop.DBus.ObjectManager",
					     "GetManagedObjects", on_reply, objects, NULL);
	if (r >= 0 && parts & MODEL_MANAGER)
		r = sd_bus_call_method_async(ctl->bus, &manager->slot, BUS_NAME, BUS_ROOT,
					     "org.freedesktop.DBus.Properties", "GetAll", on_reply,
					     manager, "s", BUS_MANAGER);
	return r;
}

/* sd-bus answers a question itself when its time is over or the bus goes away. */
static int await(struct ctl *ctl, const struct question *question)
{
	while (question->slot && !question->reply) {
		int r = sd_bus_process(ctl->bus, NULL);

		if (r == 0)
			r = sd_bus_wait(ctl->bus, UINT64_MAX);
		if (r < 0 && r != -EINTR)
			return r;
	}
	return 0;
}

static void question_clear(struct question *question)
{
	sd_bus_message_unref(question->reply);
	sd_bus_slot_unref(question->slot);
}

int model_load(struct ctl *ctl, unsigned parts, struct model *ret)
{
	_cleanup_(question_clear) struct question objects = { 0 }, manager = { 0 };
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	const struct question *all[] = { &objects, &manager };
	const char *doing = "reading the state of iommu-policyd";
	int r;

	*ret = (struct model){ 0 };
	r = bus_connect(ctl);
	if (r != 0)
		return r;

	r = ask(ctl, parts, &objects, &manager);
	for (size_t i = 0; i < ARRAY_SIZE(all) && r >= 0; i++) {
		r = await(ctl, all[i]);
		if (r >= 0 && all[i]->reply && sd_bus_message_is_method_error(all[i]->reply, NULL))
			return bus_complain(ctl, doing, sd_bus_message_get_error(all[i]->reply),
					    -EIO);
	}
	if (r >= 0 && objects.reply)
		r = read_objects(objects.reply, ret, &error);
	if (r >= 0 && manager.reply)
		r = read_manager(manager.reply, ret, &error);
	if (r >= 0 && manager.reply)
		r = bus_check_version(ret->manager.interface_version, &error);
	if (r >= 0)
		r = model_link(ret);
	if (r >= 0 && parts & MODEL_NAMES)
		r = names_fill(ret);
	return r < 0 ? bus_complain(ctl, doing, &error, r) : 0;
}
