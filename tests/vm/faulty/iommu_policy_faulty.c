// SPDX-License-Identifier: GPL-2.0
/* Does wrong on purpose, for the scenario that tests whether that is seen. */
#include <linux/delay.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

static char *fault = "";
module_param(fault, charp, 0400);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

static void lock_both(struct mutex *outer, struct mutex *inner)
{
	mutex_lock(outer);
	mutex_lock(inner);
	mutex_unlock(inner);
	mutex_unlock(outer);
}

static void invert_order(void)
{
	lock_both(&first, &second);
	lock_both(&second, &first);
}

static void sleep_in_atomic(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
}

static void use_after_free(void)
{
	char *volatile data = kmalloc(64, GFP_KERNEL);

	kfree(data);
	pr_info("%d\n", data[8]);
}

static void leak(void)
{
	int i;

	for (i = 0; i < 4; i++)
		pr_info("lost: %d\n", !!kmalloc(100, GFP_KERNEL));
}

static void work_nothing(struct work_struct *work)
{
}

static void free_pending_work(void)
{
	struct delayed_work *work = kmalloc(sizeof(*work), GFP_KERNEL);

	if (!work)
		return;
	INIT_DELAYED_WORK(work, work_nothing);
	schedule_delayed_work(work, 100 * HZ);
	kfree(work);
}

static void add_twice(void)
{
	struct list_head item;
	LIST_HEAD(list);

	list_add(&item, &list);
	list_add(&item, &list);
}

static const struct {
	const char *name;
	void (*commit)(void);
} faults[] = {
	{ "order", invert_order },
	{ "sleep", sleep_in_atomic },
	{ "use-after-free", use_after_free },
	{ "leak", leak },
	{ "work", free_pending_work },
	{ "list", add_twice },
};

static int __init faulty_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		if (!strcmp(fault, faults[i].name)) {
			faults[i].commit();
			return 0;
		}
	return -EINVAL;
}

static void __exit faulty_exit(void)
{
}

module_init(faulty_init);
module_exit(faulty_exit);

MODULE_DESCRIPTION("Bugs on purpose");
MODULE_LICENSE("GPL");
