/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/props.h"

#include <errno.h>
#include <stdint.h>

#include "ctl/util.h"

int prop_set_string(char **field, const char *s)
{
	char *copy = strdup(s);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

int prop_read_string(sd_bus_message *m, void *field)
{
	const char *s, *contents;
	char type;
	int r;

	r = sd_bus_message_peek_type(m, &type, &contents);
	if (r < 0)
		return r;
	r = sd_bus_message_read_basic(m, type, &s);
	return r < 0 ? r : prop_set_string(field, s);
}

int prop_read_u16(sd_bus_message *m, void *field)
{
	return sd_bus_message_read_basic(m, 'q', field);
}

int prop_read_u32(sd_bus_message *m, void *field)
{
	return sd_bus_message_read_basic(m, 'u', field);
}

int prop_read_u64(sd_bus_message *m, void *field)
{
	return sd_bus_message_read_basic(m, 't', field);
}

int prop_read_bool(sd_bus_message *m, void *field)
{
	int value, r;

	r = sd_bus_message_read_basic(m, 'b', &value);
	if (r >= 0)
		*(bool *)field = value;
	return r;
}

int prop_read_strv(sd_bus_message *m, void *field)
{
	char ***strv = field, **fresh = NULL;
	int r = sd_bus_message_read_strv(m, &fresh);

	if (r < 0)
		return r;
	for (char **p = *strv; p && *p; p++)
		free(*p);
	free(*strv);
	*strv = fresh;
	return 0;
}

static int read_one(sd_bus_message *m, const struct prop *prop, void *base, sd_bus_error *error)
{
	const char *contents;
	char type;
	int r;

	r = sd_bus_message_peek_type(m, &type, &contents);
	if (r < 0)
		return r;
	if (type != 'v')
		return -EPROTO;
	if (!streq(contents, prop->signature)) {
		sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_SIGNATURE,
				  "property %s is of type '%s', not '%s'", prop->name, contents,
				  prop->signature);
		return -EPROTO;
	}
	r = sd_bus_message_enter_container(m, 'v', prop->signature);
	if (r < 0)
		return r;
	r = prop->read(m, (char *)base + prop->offset);
	if (r < 0)
		return r;
	return sd_bus_message_exit_container(m);
}

int props_read(sd_bus_message *m, const struct prop *props, void *base, sd_bus_error *error)
{
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		const struct prop *prop = props;
		const char *name;

		r = sd_bus_message_read_basic(m, 's', &name);
		if (r < 0)
			return r;
		while (prop->name && !streq(prop->name, name))
			prop++;
		r = prop->name ? read_one(m, prop, base, error) : sd_bus_message_skip(m, "v");
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}
