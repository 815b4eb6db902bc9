/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOMMU_POLICY_GROUP_H
#define IOMMU_POLICY_GROUP_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include <linux/iommu_policy.h>

/* Who has asked for something: a netlink socket of the initial namespace. */
struct holder {
	u32 portid; /* 0: nobody */
	pid_t pid; /* for people; in the initial PID namespace */
};

/* A command that is done by a workqueue. */
struct request {
	struct list_head list;
	struct holder holder;
	u8 command;
	u32 flags;
	u64 cookie;
	int group; /* number, -1: none was named */
	char device[IOMMU_POLICY_ADDRESS_SIZE]; /* empty: none was named */
	bool silent; /* of the module's own making: nobody waits for DONE */
	bool cancelled; /* give up waiting; read without the mutex */
};

/* What a request came to; see DONE in the uapi header. */
struct result {
	int error; /* 0 or a negative errno */
	int owner; /* enum iommu_policy_owner, -1: not told */
	struct holder holder; /* who is in the way */
};

struct held_device {
	struct list_head list;
	struct device *dev; /* with a reference */
	bool fenced;
	bool was_bound; /* when the hold began */
	bool arrived; /* since */
};

/* A group with which something is done; see group.c for its life. */
struct policy_group {
	struct list_head list; /* policy_groups */
	struct iommu_group *group; /* with a reference; NULL once it has gone */
	int id;

	struct list_head requests; /* struct request, oldest first */
	struct request *current_request; /* taken from there and being done */
	struct work_struct work;
	bool working; /* the work is queued or runs */

	struct holder hold; /* hold.c */
	struct device *fence;
	struct list_head held; /* struct held_device */
	bool hold_told; /* it is complete, and EVENT_HELD is out */

	struct holder bracket; /* bracket.c */
	bool bracket_live; /* around a write that gives no device another domain */
	bool bracket_void; /* it was open for too long */

	bool claimed; /* claim.c */
	struct holder claim; /* nobody's if persistent */
};

/* Guards all groups, the gate and the devices in transit; see group.c for its place among the locks. */
extern struct mutex policy_mutex;
extern struct list_head policy_groups;
/* The module is on its way out: nothing begins any more. Under policy_mutex. */
extern bool policy_stopping;
extern struct workqueue_struct *policy_wq;

/* Calls FN with each PCI device of GROUP, in whose mutex it runs, until it returns other than 0. */
int group_for_each_pci(struct iommu_group *group, void *data, int (*fn)(struct device *dev, void *data));

/* All below: policy_mutex is held. */

/*
 * A reference to the group of DEV, NULL where there is none or where DEV is
 * in transit: only then is the pointer in the device sure to be good.
 */
struct iommu_group *group_of_device(struct device *dev);
/* The same for the group with number ID, and for that of the PCI device at ADDRESS. */
struct iommu_group *group_by_id(int id);
struct iommu_group *group_by_address(const char *address);

struct policy_group *group_find(const struct iommu_group *group);
struct policy_group *group_find_by_id(int id);
/* Finds or makes it. NULL: *ERROR is -ENODEV (its last device is going), -ENOMEM or -ESHUTDOWN. */
struct policy_group *group_get(struct iommu_group *group, int *error);
/* Frees it when nothing is done with it any more. */
void group_trim(struct policy_group *g);
/* Its last device is going: everything on it ends, before the IOMMU core notices. */
void group_die(struct policy_group *g);
/* A copy of WHAT, to be queued; NULL: there are too many, or no memory. */
struct request *request_new(const struct request *what);
void request_free(struct request *request);
/* Has REQUEST done after those before it. Takes it over. */
void group_queue(struct policy_group *g, struct request *request);
/* Has HOLDs of PORTID's socket, or with 0 of any, give up, the one that is being done included. */
void group_cancel(struct policy_group *g, u32 portid);
/* Has its claim ended, whosever it is, with probing. */
void group_queue_unclaim(struct policy_group *g);
/* Ends all that PORTID's socket has; what may wait is the workqueue's. */
void group_end_socket(u32 portid);
/* Has all ended that any socket has, and persistent claims. */
void group_end_all(void);

static inline bool holder_is(const struct holder *holder, u32 portid)
{
	return holder->portid && holder->portid == portid;
}

#endif
