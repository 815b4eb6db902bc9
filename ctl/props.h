/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTL_PROPS_H
#define CTL_PROPS_H

#include <stddef.h>
#include <systemd/sd-bus.h>

/*
 * One property that is wanted of an interface: its type, the function that
 * reads a value of that type, and where in the caller's struct it goes.
 */
struct prop {
	const char *name;
	const char *signature;
	int (*read)(sd_bus_message *m, void *field);
	size_t offset;
};

/*
 * Reads a{sv} at M into BASE by PROPS (ended by a NULL name); properties that
 * are not listed are skipped, so that a newer daemon may have more. 0, or
 * -EPROTO (with ERROR set) where a listed one is of another type, -ENOMEM, or
 * what sd-bus says.
 */
int props_read(sd_bus_message *m, const struct prop *props, void *base, sd_bus_error *error);

/* FIELD is what the name says: char **, uint16_t *, … Strings are the struct's and replaced. */
int prop_read_string(sd_bus_message *m, void *field); /* s and o */
int prop_read_u16(sd_bus_message *m, void *field);
int prop_read_u32(sd_bus_message *m, void *field);
int prop_read_u64(sd_bus_message *m, void *field);
int prop_read_bool(sd_bus_message *m, void *field); /* bool */
int prop_read_strv(sd_bus_message *m, void *field); /* char ***, NULL-terminated or NULL */

/* A copy of S into *FIELD, which is freed. 0 or -ENOMEM. */
int prop_set_string(char **field, const char *s);

#endif
