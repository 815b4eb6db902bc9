/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_ADDRESS_H
#define POLICY_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * "DDDD:BB:DD.F", hexadecimal in any letter case, as the kernel prints it
 * (dev_set_name() in drivers/pci/probe.c: "%04x:%02x:%02x.%d"), so a domain of
 * more than four digits has no leading zero. *RET is a number that no two
 * addresses share: the domain, and in the low 16 bits bus, slot and function as
 * in a PCI Express routing ID. 0 or -EINVAL.
 */
int address_parse(const char *word, uint64_t *ret);

/*
 * Whether GLOB is well formed and some address can match it: "3b:00.*" lacks
 * the domain and would never match, which is worth an error and not silence.
 * Known are '*', '?', [set], [!set]; a range goes from digit to digit or from
 * letter to letter.
 *
 * Returns 0, -EINVAL (malformed) or -ENXIO (cannot match).
 */
int address_glob_check(const char *glob);

/* fnmatch(3) without regard to case. */
bool address_glob_match(const char *glob, const char *address);

/* True where GLOB has no wildcard: it then parses as an address. */
bool address_glob_is_exact(const char *glob);

#endif
