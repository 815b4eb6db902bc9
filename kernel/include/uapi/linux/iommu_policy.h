/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * Generic netlink interface of the iommu_policy module, and its specification.
 *
 * The family "iommu_policy" is there for sockets of the initial network
 * namespace. Each command, queries included, needs CAP_SYS_ADMIN and
 * CAP_SYS_RAWIO in the initial user namespace, of the socket's opener and of
 * the sender both (as a write to a group's type file does), else -EPERM.
 * Attributes that a command does not name are refused with -EINVAL, values out
 * of range with -ERANGE or -EINVAL; the extended acknowledgement names the
 * attribute and says why.
 *
 * Ownership
 *
 * A hold, an open bracket, an armed gate and a claim belong to the socket that
 * asked for them, told by its port id, and end when that socket is closed,
 * whatever closes it. Open it with SOCK_CLOEXEC: a copy of it in another
 * process keeps them alive. Two things outlive their socket on request: a claim
 * that is persistent and a gate that is sticky; they then belong to nobody, and
 * any caller may end them. All of it ends when the module is unloaded.
 *
 * Commands that answer later
 *
 * HOLD, RELEASE, CLAIM, UNCLAIM and GATE_RELEASE may have to wait for a driver
 * that is just being probed. Their acknowledgement says only that the request
 * is well formed and queued. The outcome comes as a DONE message to the same
 * socket; one that finds its buffer full is lost (ENOBUFS there). What concerns
 * one group is done in the order in which it was asked for; groups do not wait
 * for each other. An acknowledgement with an error is the end of it: -ENODEV (no such group or
 * device), -ENOBUFS (too many requests are queued, or no memory), -ENOMEM, -ESHUTDOWN (the module
 * is being unloaded; so also of BRACKET_BEGIN and GATE_ARM).
 *
 *   DONE, unicast:
 *	IOMMU_POLICY_A_COMMAND		u32	command that this is the outcome of
 *	IOMMU_POLICY_A_COOKIE		u64	the request's, 0 if it had none
 *	IOMMU_POLICY_A_GROUP		u32	group, if the request named one
 *	IOMMU_POLICY_A_DEVICE		string	device, if the request named one
 *	IOMMU_POLICY_A_ERROR		u32	0, or a positive errno
 *	IOMMU_POLICY_A_OWNER		u32	enum iommu_policy_owner, with EBUSY and EUSERS
 *	IOMMU_POLICY_A_HOLDER		nest	who is in the way, with EBUSY where somebody is
 *
 * Errors that any of them may report in DONE: ENODEV (the group has gone
 * meanwhile), ENOMEM, ECANCELED (HOLD: given up by a later RELEASE of the socket; CLAIM and HOLD: by
 * the end of the module).
 *
 * The commands
 *
 *   INFO_GET: nothing -> reply
 *	IOMMU_POLICY_A_VERSION		u32	of this interface: IOMMU_POLICY_GENL_VERSION
 *	IOMMU_POLICY_A_GATE		nest	present while a gate is armed
 *		IOMMU_POLICY_GATE_A_FLAGS	u32	IOMMU_POLICY_GATE_F_*
 *		IOMMU_POLICY_GATE_A_TIMEOUT_MS	u32	milliseconds
 *		IOMMU_POLICY_GATE_A_PORTID	u32	its socket, 0: none any more (sticky)
 *		IOMMU_POLICY_GATE_A_PID		u32	process that armed it, in the initial PID namespace
 *		IOMMU_POLICY_GATE_A_N_HELD	u32	devices that it holds now
 *
 *   GROUP_GET: one of GROUP, DEVICE -> reply; with NLM_F_DUMP nothing -> a reply for
 *   each group that has a PCI device. -ENODEV: no such group; the device has none.
 *	IOMMU_POLICY_A_GROUP		u32	number of the group, as in /sys/kernel/iommu_groups/
 *	IOMMU_POLICY_A_OWNER		u32	enum iommu_policy_owner
 *	IOMMU_POLICY_A_DOMAIN		u32	enum iommu_policy_domain, what its devices are attached to now
 *	IOMMU_POLICY_A_DEVICES		nest	of one nest per PCI device:
 *	    IOMMU_POLICY_A_DEVICE_ENTRY	nest
 *		IOMMU_POLICY_DEVICE_A_ADDRESS	string	as in /sys/bus/pci/devices/
 *		IOMMU_POLICY_DEVICE_A_FLAGS	u32	IOMMU_POLICY_DEVICE_F_*
 *	IOMMU_POLICY_A_REGIONS		nest	of one nest per reserved region:
 *	    IOMMU_POLICY_A_REGION_ENTRY	nest
 *		IOMMU_POLICY_REGION_A_START	u64	first bus address
 *		IOMMU_POLICY_REGION_A_END	u64	last bus address
 *		IOMMU_POLICY_REGION_A_KIND	u32	enum iommu_policy_region
 *	IOMMU_POLICY_A_HOLDER		nest	present while the group is held
 *		IOMMU_POLICY_HOLDER_A_PORTID	u32	socket
 *		IOMMU_POLICY_HOLDER_A_PID	u32	process that asked, in the initial PID namespace
 *	IOMMU_POLICY_A_BRACKET		nest	as HOLDER, present while a type bracket is open
 *	IOMMU_POLICY_A_CLAIM		nest	as HOLDER, present while the group is claimed; PORTID is 0 if persistent
 *	IOMMU_POLICY_A_TRUNCATED	flag	there was no room for devices and regions, and none are given; in a dump: ask for the
 *						group alone, where there is room for about a thousand
 *
 *   HOLD: GROUP or DEVICE; COOKIE -> DONE
 *   Keeps drivers from binding to any device of the group that is no bridge,
 *   those included that join while it lasts: bind fails with -EAGAIN. What is
 *   bound stays bound. When DONE arrives no probe is in progress any more. A hold
 *   that the socket has already is no error. A device that joins by its first probe (as with virtio-iommu) is
 *   not fenced.
 *	EBUSY	another socket holds it (HOLDER), or has a bracket or claim on it
 *
 *   RELEASE: GROUP or DEVICE; FLAGS: IOMMU_POLICY_F_PROBE; COOKIE -> DONE
 *   Ends the socket's hold. With F_PROBE, as when the socket is closed, devices that lost a
 *   chance to bind are offered to the drivers before DONE is sent: those that were bound when the
 *   hold began and are not now, and those that came since. A device that the driver core matched with a
 *   driver meanwhile (which was loaded, or got a new ID) is offered again by the core: at once with F_PROBE,
 *   else when the next device of the machine is bound. To keep it for one driver, write driver_override
 *   before. Who wrote to a driver's bind file had -EAGAIN, and has to write again.
 *	ENOENT	the socket does not hold the group
 *
 *   BRACKET_BEGIN: GROUP or DEVICE; FLAGS: IOMMU_POLICY_F_LIVE -> acknowledgement
 *   Goes around one write to the group's type file. Until BRACKET_END, devices that
 *   come or go wait, for at most IOMMU_POLICY_BRACKET_MAX_MS.
 *	-EBUSY	a kernel driver owns the group's DMA (not with F_LIVE, which is for a write of
 *		DMA-FQ to a group in use); or a socket other than this one holds it, has
 *		a bracket on it or has claimed it; or it is claimed by this one or persistently
 *	-EUSERS	a user (VFIO, iommufd) owns the group's DMA
 *	-EAGAIN	a device is just arriving, and may be for this group: try again
 *	-ENODEV	no such group, or a device of it is just going
 *
 *   BRACKET_END: GROUP or DEVICE -> acknowledgement
 *	-ENOENT	the socket has no bracket there (the group may have gone)
 *	-ETIMEDOUT it was open for too long: something came or went meanwhile
 *
 *   GATE_ARM: GATE { FLAGS, TIMEOUT_MS } -> acknowledgement
 *   From now on PCI devices that appear, virtual functions too, bridges not, are held
 *   as by HOLD until GATE_RELEASE. What was there before is not: arm, then look
 *   what there is. A device that has no group when it appears is let through and
 *   told of (IOMMU_POLICY_EVENT_GATE_PASSED). Armed again by its owner, or by
 *   anybody when it is nobody's, the gate takes the new settings for devices to come; those
 *   that it kept shut past their time need a GATE_RELEASE or the gate's end.
 *	-EBUSY	another socket's gate is armed (INFO_GET tells whose)
 *
 *   GATE_DISARM: nothing -> acknowledgement
 *   What the gate still holds is released and probed.
 *	-ENOENT	no gate is armed; -EBUSY another socket's is
 *
 *   GATE_RELEASE: DEVICE; FLAGS: IOMMU_POLICY_F_PROBE; COOKIE -> DONE
 *   Lets one device through, whoever asks. With F_PROBE it is offered to the drivers before DONE is sent; without, it
 *   may be taken by one all the same, as with RELEASE.
 *	-ENOENT	the gate does not hold it; in the acknowledgement
 *
 *   CLAIM: GROUP or DEVICE; FLAGS: IOMMU_POLICY_F_PERSISTENT; COOKIE -> DONE
 *   Takes the group's DMA: nothing that its devices do reaches memory, drivers that use
 *   DMA cannot bind (-EBUSY), nor can a user take it. A hold of the same socket may go on or end.
 *   The type file cannot be written while it lasts (but DMA-FQ for DMA, from 6.4 on). A claim that
 *   the socket has, or that is persistent, is no error and takes the persistence asked for now.
 *	EBUSY	a kernel driver is bound (OWNER), or another socket has a claim, hold or bracket on
 *		it, or this one a bracket (HOLDER)
 *	EUSERS	a user (VFIO, iommufd) owns the group's DMA
 *	EOPNOTSUPP the firmware needs a 1:1 map for a device of the group (region of kind "direct")
 *	EAGAIN	a device is just coming or going, and may be one of this group, or the owner has let go
 *		in this moment: try again
 *	others	what the IOMMU's driver said to the blocking domain
 *   A claim ends by itself when the last device goes. A device with a region of kind "direct" that joins a
 *   claimed group ends the claim; kernels that test for that themselves give the device no group.
 *
 *   UNCLAIM: GROUP or DEVICE; FLAGS: IOMMU_POLICY_F_PROBE; COOKIE -> DONE
 *   With F_PROBE, as when the socket is closed or the module unloaded, unbound devices of the group are
 *   offered to the drivers before DONE is sent (a claim leaves no trace of the drivers that it refused).
 *	ENOENT	nobody has claimed it; EBUSY another socket has (HOLDER)
 *
 *   EVENT, multicast to "events":
 *	IOMMU_POLICY_A_EVENT		u32	enum iommu_policy_event
 *	IOMMU_POLICY_A_GROUP		u32	group, if it is about one
 *	IOMMU_POLICY_A_DEVICE		string	device, if it is about one
 *	IOMMU_POLICY_A_OWNER		u32	with EVENT_OWNER: enum iommu_policy_owner, as it was when the event was made
 *   A message that finds the listener's buffer full is lost (ENOBUFS on its socket): dump then.
 */
#ifndef _UAPI_LINUX_IOMMU_POLICY_H
#define _UAPI_LINUX_IOMMU_POLICY_H

#define IOMMU_POLICY_GENL_NAME "iommu_policy"
#define IOMMU_POLICY_GENL_VERSION 1
#define IOMMU_POLICY_MCGRP_EVENTS "events"

/* How long a bracket may hold devices up that come or go; then it is void. */
#define IOMMU_POLICY_BRACKET_MAX_MS 5000

/* Bounds of the gate's time-out. */
#define IOMMU_POLICY_GATE_MIN_MS 100
#define IOMMU_POLICY_GATE_MAX_MS 3600000

/* Room for a PCI address with a domain of eight digits, and its 0. */
#define IOMMU_POLICY_ADDRESS_SIZE 20

enum iommu_policy_command {
	IOMMU_POLICY_CMD_UNSPEC,
	IOMMU_POLICY_CMD_INFO_GET,
	IOMMU_POLICY_CMD_GROUP_GET,
	IOMMU_POLICY_CMD_HOLD,
	IOMMU_POLICY_CMD_RELEASE,
	IOMMU_POLICY_CMD_BRACKET_BEGIN,
	IOMMU_POLICY_CMD_BRACKET_END,
	IOMMU_POLICY_CMD_GATE_ARM,
	IOMMU_POLICY_CMD_GATE_DISARM,
	IOMMU_POLICY_CMD_GATE_RELEASE,
	IOMMU_POLICY_CMD_CLAIM,
	IOMMU_POLICY_CMD_UNCLAIM,
	IOMMU_POLICY_CMD_DONE, /* from the module only */
	IOMMU_POLICY_CMD_EVENT, /* from the module only */
	__IOMMU_POLICY_CMD_MAX
};
#define IOMMU_POLICY_CMD_MAX (__IOMMU_POLICY_CMD_MAX - 1)

enum iommu_policy_attribute {
	IOMMU_POLICY_A_UNSPEC,
	IOMMU_POLICY_A_PAD,
	IOMMU_POLICY_A_VERSION,
	IOMMU_POLICY_A_GROUP,
	IOMMU_POLICY_A_DEVICE,
	IOMMU_POLICY_A_FLAGS, /* u32, IOMMU_POLICY_F_* */
	IOMMU_POLICY_A_COOKIE,
	IOMMU_POLICY_A_COMMAND,
	IOMMU_POLICY_A_ERROR,
	IOMMU_POLICY_A_OWNER,
	IOMMU_POLICY_A_DOMAIN,
	IOMMU_POLICY_A_DEVICES,
	IOMMU_POLICY_A_DEVICE_ENTRY,
	IOMMU_POLICY_A_REGIONS,
	IOMMU_POLICY_A_REGION_ENTRY,
	IOMMU_POLICY_A_HOLDER,
	IOMMU_POLICY_A_BRACKET,
	IOMMU_POLICY_A_CLAIM,
	IOMMU_POLICY_A_GATE,
	IOMMU_POLICY_A_TRUNCATED,
	IOMMU_POLICY_A_EVENT,
	__IOMMU_POLICY_A_MAX
};
#define IOMMU_POLICY_A_MAX (__IOMMU_POLICY_A_MAX - 1)

enum iommu_policy_device_attribute {
	IOMMU_POLICY_DEVICE_A_UNSPEC,
	IOMMU_POLICY_DEVICE_A_ADDRESS,
	IOMMU_POLICY_DEVICE_A_FLAGS,
	__IOMMU_POLICY_DEVICE_A_MAX
};
#define IOMMU_POLICY_DEVICE_A_MAX (__IOMMU_POLICY_DEVICE_A_MAX - 1)

enum iommu_policy_region_attribute {
	IOMMU_POLICY_REGION_A_UNSPEC,
	IOMMU_POLICY_REGION_A_PAD,
	IOMMU_POLICY_REGION_A_START,
	IOMMU_POLICY_REGION_A_END,
	IOMMU_POLICY_REGION_A_KIND,
	__IOMMU_POLICY_REGION_A_MAX
};
#define IOMMU_POLICY_REGION_A_MAX (__IOMMU_POLICY_REGION_A_MAX - 1)

enum iommu_policy_holder_attribute {
	IOMMU_POLICY_HOLDER_A_UNSPEC,
	IOMMU_POLICY_HOLDER_A_PORTID,
	IOMMU_POLICY_HOLDER_A_PID,
	__IOMMU_POLICY_HOLDER_A_MAX
};
#define IOMMU_POLICY_HOLDER_A_MAX (__IOMMU_POLICY_HOLDER_A_MAX - 1)

enum iommu_policy_gate_attribute {
	IOMMU_POLICY_GATE_A_UNSPEC,
	IOMMU_POLICY_GATE_A_FLAGS,
	IOMMU_POLICY_GATE_A_TIMEOUT_MS,
	IOMMU_POLICY_GATE_A_PORTID,
	IOMMU_POLICY_GATE_A_PID,
	IOMMU_POLICY_GATE_A_N_HELD,
	__IOMMU_POLICY_GATE_A_MAX
};
#define IOMMU_POLICY_GATE_A_MAX (__IOMMU_POLICY_GATE_A_MAX - 1)

/* IOMMU_POLICY_A_FLAGS of requests */
#define IOMMU_POLICY_F_PROBE (1U << 0) /* RELEASE, GATE_RELEASE, UNCLAIM: offer unbound devices to the drivers */
#define IOMMU_POLICY_F_LIVE (1U << 1) /* BRACKET_BEGIN: a kernel driver may own the group */
#define IOMMU_POLICY_F_PERSISTENT (1U << 2) /* CLAIM: outlives the socket */

/* IOMMU_POLICY_GATE_A_FLAGS */
#define IOMMU_POLICY_GATE_F_STICKY (1U << 0) /* stays armed when its socket is closed */
#define IOMMU_POLICY_GATE_F_KEEP_SHUT (1U << 1) /* the time-out is told of and changes nothing, else it lets the device through */

/* IOMMU_POLICY_DEVICE_A_FLAGS */
#define IOMMU_POLICY_DEVICE_F_BRIDGE (1U << 0) /* neither held nor gated */
#define IOMMU_POLICY_DEVICE_F_BOUND (1U << 1) /* has a driver */
#define IOMMU_POLICY_DEVICE_F_HELD (1U << 2) /* cannot bind, by a hold */
#define IOMMU_POLICY_DEVICE_F_GATED (1U << 3) /* cannot bind, by the gate */
#define IOMMU_POLICY_DEVICE_F_IN_TRANSIT (1U << 4) /* just coming or going */

/* Who may use the group's DMA. */
enum iommu_policy_owner {
	IOMMU_POLICY_OWNER_NONE,
	IOMMU_POLICY_OWNER_KERNEL, /* a driver that goes through the kernel's DMA API */
	IOMMU_POLICY_OWNER_USER, /* VFIO, iommufd */
	IOMMU_POLICY_OWNER_POLICY, /* nobody: claimed here */
};

enum iommu_policy_domain {
	IOMMU_POLICY_DOMAIN_NONE, /* not known */
	IOMMU_POLICY_DOMAIN_BLOCKED,
	IOMMU_POLICY_DOMAIN_IDENTITY,
	IOMMU_POLICY_DOMAIN_DMA,
	IOMMU_POLICY_DOMAIN_DMA_FQ,
	IOMMU_POLICY_DOMAIN_UNMANAGED, /* a user's; a claimed group's on kernels before 6.2 */
	IOMMU_POLICY_DOMAIN_OTHER, /* SVA, nested, platform */
};

/* As reserved_regions in sysfs has them. */
enum iommu_policy_region {
	IOMMU_POLICY_REGION_OTHER,
	IOMMU_POLICY_REGION_DIRECT,
	IOMMU_POLICY_REGION_DIRECT_RELAXABLE,
	IOMMU_POLICY_REGION_RESERVED,
	IOMMU_POLICY_REGION_MSI,
};

enum iommu_policy_event {
	IOMMU_POLICY_EVENT_UNSPEC,
	IOMMU_POLICY_EVENT_OWNER, /* GROUP, OWNER: either has, or may have, changed; without them: in some group, dump */
	IOMMU_POLICY_EVENT_HELD, /* GROUP: a hold has begun */
	IOMMU_POLICY_EVENT_RELEASED, /* GROUP: a hold has ended */
	IOMMU_POLICY_EVENT_CLAIMED, /* GROUP */
	IOMMU_POLICY_EVENT_UNCLAIMED, /* GROUP: by whomever, and also where the group has gone */
	IOMMU_POLICY_EVENT_GATE_HELD, /* DEVICE, GROUP: it came, and the gate holds it */
	IOMMU_POLICY_EVENT_GATE_PASSED, /* DEVICE: it came without a group (or, with GROUP: there was no memory), and was let through */
	IOMMU_POLICY_EVENT_GATE_TIMEOUT, /* DEVICE: nobody released it in time; GATE_OPENED follows unless the gate keeps it shut */
	IOMMU_POLICY_EVENT_GATE_OPENED, /* DEVICE: the gate holds it no more */
	IOMMU_POLICY_EVENT_GATE_ARMED,
	IOMMU_POLICY_EVENT_GATE_DISARMED,
};

#endif
