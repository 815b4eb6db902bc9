/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/autoprobe-record.h"
#include "daemon/autoprobe.h"
#include "daemon/gate.h"
#include "daemon/kernel.h"
#include "daemon/manager.h"
#include "daemon/options.h"
#include "daemon/put-back.h"
#include "daemon/sysfs-machine.h"
#include "tests/unit/fake-sysfs.h"

#define OLD "0000:01:00.0"
#define NEW "0000:02:00.0"
#define BOUND "0000:03:00.0"

static char *dir;
static const struct options options;

/* A machine with one device that has been there, and two drivers; OLD has none. */
static void setup(void)
{
	sigset_t set;

	fake_sysfs_make();
	fake_file("1\n", "bus/pci/drivers_autoprobe");
	fake_file("", "bus/pci/drivers_probe");
	fake_file("", "class/iommu/dmar0/name");
	fake_driver("e1000e");
	fake_driver("nvme");
	fake_group(1, "DMA");
	fake_device(OLD, 1, NULL);
	dir = strf("%s/run", fake_sysfs_root());
	ck_assert_int_eq(mkdir(dir, 0755), 0);
	autoprobe_set_dir(dir);
	kernel_set_release("6.19.0-amd64");
	/* As the daemon has it: a child's end is an event. */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void teardown(void)
{
	/* What put_back() has left to init would be the next test's, where tests do not fork. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	kernel_set_release(NULL);
	free(dir);
	fake_sysfs_remove();
}

static char *content(const char *path)
{
	_cleanup_free_ char *whole = strf("%s/%s", fake_sysfs_root(), path);
	char *text;

	ck_assert_int_ge(read_file_at(AT_FDCWD, whole, 4096, &text), 0);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

#define ck_assert_content(path, wanted)                 \
	do {                                            \
		char *found_ = content(path);           \
		ck_assert_str_eq(found_, wanted);       \
		free(found_);                           \
	} while (0)

static bool has_record(void)
{
	return autoprobe_record_exists(dir);
}

/* With OLD in it, and drivers. */
static void make_record(const char *drivers)
{
	_cleanup_free_ char *text = NULL;
	uint64_t inode;

	ck_assert_int_eq(sysfs_device_inode(OLD, &inode), 0);
	text = strf("[autoprobe]\ndevice=" OLD " %" PRIu64 "\n%s", inode, drivers);
	fake_file(text, "run/autoprobe");
}

static void make_new(const char *driver)
{
	fake_group(2, "DMA");
	fake_device(NEW, 2, driver);
}

/* -- the record --------------------------------------------------------------- */

START_TEST(record_is_read_as_written)
{
	struct autoprobe_record record = {}, again;

	make_new(NULL);
	ck_assert_int_eq(autoprobe_record_read(dir, &again), -ENOENT);
	ck_assert_int_eq(autoprobe_record_add(&record.devices, OLD), 0);
	ck_assert_int_eq(autoprobe_record_add(&record.devices, NEW), 0);
	ck_assert_int_eq(autoprobe_record_add(&record.devices, BOUND), 0); /* has gone */
	ck_assert_int_eq(autoprobe_record_add(&record.devices, OLD), 0);
	ck_assert_int_eq(autoprobe_record_add(&record.drivers, "Some driver"), 0);
	/* Would not come back as it is: better none. */
	ck_assert_int_eq(autoprobe_record_add(&record.drivers, "a ; b"), 0);
	ck_assert_int_eq(autoprobe_record_write(dir, &record), 0);
	ck_assert_int_eq(autoprobe_record_read(dir, &again), 0);
	ck_assert_uint_eq(strv_len(again.devices), 2);
	ck_assert(strv_contains(again.devices, OLD) && strv_contains(again.devices, NEW));
	ck_assert_uint_eq(strv_len(again.drivers), 1);
	ck_assert_str_eq(again.drivers[0], "Some driver");
	autoprobe_record_drop(again.devices, OLD);
	autoprobe_record_drop(again.devices, "0000:09:00.0");
	ck_assert_uint_eq(strv_len(again.devices), 1);
	ck_assert_str_eq(again.devices[0], NEW);
	autoprobe_record_clear(&record);
	autoprobe_record_clear(&again);
	ck_assert_int_eq(autoprobe_record_remove(dir), 0);
	ck_assert(!has_record());
}
END_TEST

/* While nobody looked: it still waits, and where there is none the next one will. */
START_TEST(record_of_a_device_that_was_exchanged)
{
	static const char path[] = "bus/pci/devices/" OLD;
	_cleanup_free_ char *link = strf("%s/%s", fake_sysfs_root(), path);
	struct autoprobe_record record;

	make_record("");
	ck_assert_int_eq(unlink(link), 0);
	for (int i = 0; i < 2; i++) {
		if (i)
			fake_link("bus/pci/drivers/nvme", path);
		ck_assert_int_eq(autoprobe_record_read(dir, &record), 0);
		ck_assert(!record.devices);
		autoprobe_record_clear(&record);
	}
}
END_TEST

START_TEST(record_of_somebody_else)
{
	static const char *const bad[] = { "[autoprobe]\ndevice=../../etc 1\n", "[autoprobe]\ndevice=" OLD "\n",
					   "[autoprobe]\ndevice=" OLD " 1a\n", "[autoprobe]\ndriver=a/b\n",
					   "[autoprobe]\nother=1\n", "[other]\ndriver=nvme\n" };
	struct autoprobe_record record;

	fake_file(bad[_i], "run/autoprobe");
	ck_assert_int_eq(autoprobe_record_read(dir, &record), -EBADMSG);
	ck_assert(!record.devices && !record.drivers);
}
END_TEST

/* -- putting back ------------------------------------------------------------- */

START_TEST(put_back_of_nothing)
{
	fake_file("0\n", "bus/pci/drivers_autoprobe");
	ck_assert_int_eq(put_back(dir), 0);
	/* Somebody else's. */
	ck_assert_content("bus/pci/drivers_autoprobe", "0");
	ck_assert_content("bus/pci/drivers_probe", "");
}
END_TEST

START_TEST(put_back_gives_what_waits_to_its_drivers)
{
	fake_file("0\n", "bus/pci/drivers_autoprobe");
	make_record("driver=e1000e\n");
	make_new(NULL);
	fake_group(3, "DMA");
	fake_device(BOUND, 3, "e1000e");
	ck_assert_int_eq(put_back(dir), 0);
	ck_assert_content("bus/pci/drivers_autoprobe", "1");
	ck_assert_content("bus/pci/drivers_probe", NEW);
	/* It came when nobody looked; the other driver has had its chance. */
	ck_assert_content("bus/pci/drivers/nvme/bind", OLD);
	ck_assert_content("bus/pci/drivers/e1000e/bind", "");
	ck_assert(!has_record());
}
END_TEST

START_TEST(put_back_of_a_record_that_cannot_be_read)
{
	fake_file("0\n", "bus/pci/drivers_autoprobe");
	fake_file("[nonsense]\n", "run/autoprobe");
	ck_assert_int_eq(put_back(dir), 0);
	ck_assert_content("bus/pci/drivers_autoprobe", "1");
	ck_assert_content("bus/pci/drivers_probe", OLD);
	ck_assert(!has_record());
}
END_TEST

START_TEST(put_back_of_the_switch_alone)
{
	fake_file("0\n", "bus/pci/drivers_autoprobe");
	ck_assert_int_eq(put_back_switch(dir), 0);
	ck_assert_content("bus/pci/drivers_autoprobe", "0");
	fake_file("[autoprobe]\n", "run/autoprobe");
	ck_assert_int_eq(put_back_switch(dir), 0);
	ck_assert_content("bus/pci/drivers_autoprobe", "1");
	ck_assert_content("bus/pci/drivers_probe", "");
	ck_assert(has_record());
}
END_TEST

/* -- the daemon --------------------------------------------------------------- */

static void begin(struct manager *m)
{
	*m = (struct manager){ .options = &options, .settings = settings_default, .inotify_fd = -1 };
	m->settings.gate_autoprobe = true;
	ck_assert_int_ge(sd_event_new(&m->event), 0);
	ck_assert_int_ge(gate_start(m), 0);
}

static void end(struct manager *m)
{
	autoprobe_stop(m);
	gate_stop(m);
	inventory_clear(&m->inventory);
	sd_event_unref(m->event);
}

static struct device *see(struct manager *m, const char *address)
{
	struct device *device;
	bool added;

	ck_assert_int_ge(inventory_refresh_device(&m->inventory, address, &device, &added), 0);
	return device;
}

static bool has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Until all probes have ended and nothing more happens for a tenth of a second. */
static void loop(struct manager *m)
{
	while (sd_event_run(m->event, 100 * USEC_PER_MSEC) > 0 || has_children())
		;
}

START_TEST(switched_and_put_back)
{
	struct manager m;

	begin(&m);
	autoprobe_update(&m);
	ck_assert(autoprobe_is_on(&m) && has_record());
	ck_assert_content("bus/pci/drivers_autoprobe", "0");
	autoprobe_update(&m); /* not again */
	m.settings.gate_autoprobe = false;
	autoprobe_update(&m);
	ck_assert(!autoprobe_is_on(&m) && !has_record());
	ck_assert_content("bus/pci/drivers_autoprobe", "1");

	/* In audit mode nothing is switched; at the end of the daemon it is put back. */
	m.settings.gate_autoprobe = true;
	m.settings.mode = MODE_AUDIT;
	autoprobe_update(&m);
	ck_assert(!autoprobe_is_on(&m));
	m.settings.mode = MODE_ENFORCE;
	autoprobe_update(&m);
	ck_assert(autoprobe_is_on(&m));
	end(&m);
	ck_assert_content("bus/pci/drivers_autoprobe", "1");
	ck_assert(!has_record());
}
END_TEST

START_TEST(kernel_that_does_not_honour_it)
{
	struct manager m;

	kernel_set_release("6.18.44");
	begin(&m);
	autoprobe_update(&m);
	ck_assert(!autoprobe_is_on(&m) && !has_record());
	ck_assert_content("bus/pci/drivers_autoprobe", "1");
	end(&m);
}
END_TEST

START_TEST(no_iommu)
{
	_cleanup_free_ char *iommu = strf("%s/class/iommu/dmar0", fake_sysfs_root());
	_cleanup_free_ char *name = strf("%s/name", iommu);
	struct manager m;

	ck_assert_int_eq(unlink(name), 0);
	ck_assert_int_eq(rmdir(iommu), 0);
	begin(&m);
	autoprobe_update(&m);
	ck_assert(!autoprobe_is_on(&m) && !has_record());
	/* Its groups came later. */
	see(&m, OLD);
	autoprobe_update(&m);
	ck_assert(autoprobe_is_on(&m));
	end(&m);
}
END_TEST

/* Somebody has cleared the folder up. */
START_TEST(put_back_without_a_record)
{
	struct manager m;

	begin(&m);
	autoprobe_update(&m);
	ck_assert_content("bus/pci/drivers_autoprobe", "0");
	ck_assert_int_eq(autoprobe_record_remove(dir), 0);
	m.stopping = true;
	autoprobe_update(&m);
	ck_assert_content("bus/pci/drivers_autoprobe", "1");
	end(&m);
}
END_TEST

START_TEST(off_by_somebody_else)
{
	struct manager m;

	fake_file("0\n", "bus/pci/drivers_autoprobe");
	begin(&m);
	autoprobe_update(&m);
	ck_assert(!autoprobe_is_on(&m));
	end(&m);
	ck_assert_content("bus/pci/drivers_autoprobe", "0");
}
END_TEST

START_TEST(off_by_a_daemon_that_was_killed)
{
	struct manager m;

	fake_file("0\n", "bus/pci/drivers_autoprobe");
	make_record("driver=e1000e\n");
	begin(&m);
	autoprobe_update(&m);
	ck_assert(autoprobe_is_on(&m));
	see(&m, OLD);
	autoprobe_resync(&m);
	loop(&m);
	ck_assert_content("bus/pci/drivers/nvme/bind", OLD);
	ck_assert_content("bus/pci/drivers/e1000e/bind", "");
	make_new(NULL);
	see(&m, NEW)->group->decided = true;
	autoprobe_resync(&m);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", NEW);
	end(&m);
}
END_TEST

/* Nothing of it is wanted now, and what waits is no matter of the settings. */
START_TEST(left_by_a_daemon_that_was_killed)
{
	struct manager m;

	fake_file(_i ? "1\n" : "0\n", "bus/pci/drivers_autoprobe");
	make_record("driver=e1000e\ndriver=nvme\n");
	make_new(NULL);
	begin(&m);
	m.settings.gate_autoprobe = false;
	autoprobe_start(&m);
	see(&m, OLD);
	see(&m, NEW);
	autoprobe_started(&m);
	ck_assert(!autoprobe_is_on(&m));
	ck_assert_content("bus/pci/drivers_autoprobe", "1");
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", NEW);
	ck_assert_content("bus/pci/drivers/nvme/bind", NEW);
	ck_assert(!has_record());
	end(&m);
}
END_TEST

START_TEST(left_with_a_record_that_cannot_be_read)
{
	struct autoprobe_record record;
	struct manager m;

	fake_file("0\n", "bus/pci/drivers_autoprobe");
	fake_file("[nonsense]\n", "run/autoprobe");
	begin(&m);
	autoprobe_start(&m);
	ck_assert(autoprobe_is_on(&m));
	see(&m, OLD)->group->decided = true;
	autoprobe_started(&m);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", OLD);
	ck_assert_int_eq(autoprobe_record_read(dir, &record), 0);
	ck_assert(strv_contains(record.devices, OLD));
	autoprobe_record_clear(&record);
	end(&m);
	ck_assert_content("bus/pci/drivers_autoprobe", "1");
}
END_TEST

START_TEST(device_waits_for_its_policy)
{
	struct autoprobe_record record;
	struct manager m;
	struct group *group;

	begin(&m);
	autoprobe_update(&m);
	make_new(NULL);
	group = see(&m, NEW)->group;
	autoprobe_device_came(&m, NEW, true);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", "");
	group->decided = true;
	gate_look(&m);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", NEW);
	ck_assert_int_eq(autoprobe_record_read(dir, &record), 0);
	ck_assert(strv_contains(record.devices, NEW));
	autoprobe_record_clear(&record);

	/* Announced once more it does not wait again; another one in its place does. */
	fake_file("", "bus/pci/drivers_probe");
	autoprobe_device_came(&m, NEW, false);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", "");
	autoprobe_device_went(&m, NEW);
	autoprobe_device_came(&m, NEW, true);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", NEW);
	end(&m);
}
END_TEST

/* It was there when all was switched off, and the kernel had not got to it: its event comes only now. */
START_TEST(device_that_came_meanwhile)
{
	struct autoprobe_record record;
	struct manager m;

	make_new(NULL);
	fake_group(3, "DMA");
	fake_device(BOUND, 3, "e1000e");
	begin(&m);
	autoprobe_update(&m);
	see(&m, NEW);
	see(&m, BOUND);
	autoprobe_device_came(&m, NEW, true);
	autoprobe_device_came(&m, BOUND, true);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", "");
	/* A daemon that is killed now has not dealt with it. */
	ck_assert_int_eq(autoprobe_record_read(dir, &record), 0);
	ck_assert(!strv_contains(record.devices, NEW) && strv_contains(record.devices, BOUND));
	autoprobe_record_clear(&record);
	inventory_device(&m.inventory, NEW)->group->decided = true;
	gate_look(&m);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", NEW);
	end(&m);
}
END_TEST

/* Its event had come already. */
START_TEST(device_that_has_just_come)
{
	struct autoprobe_record record;
	struct manager m;

	make_new(NULL);
	begin(&m);
	see(&m, OLD)->came_usec = now_usec(CLOCK_MONOTONIC) - 20 * USEC_PER_SEC;
	see(&m, NEW)->came_usec = now_usec(CLOCK_MONOTONIC);
	autoprobe_update(&m);
	ck_assert_int_eq(autoprobe_record_read(dir, &record), 0);
	ck_assert(!strv_contains(record.devices, NEW) && strv_contains(record.devices, OLD));
	autoprobe_record_clear(&record);
	inventory_device(&m.inventory, NEW)->group->decided = true;
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", NEW);
	end(&m);
}
END_TEST

/* The kernel would take it from its list, and not ask its driver. */
START_TEST(device_that_the_kernel_would_ask_again)
{
	struct autoprobe_record record;
	struct manager m;

	fake_file("platform-thing\tno reason\n" OLD "\te1000e: wait for supplier\n", "kernel/debug/devices_deferred");
	begin(&m);
	autoprobe_update(&m);
	ck_assert_int_eq(autoprobe_record_read(dir, &record), 0);
	ck_assert(!strv_contains(record.devices, OLD));
	autoprobe_record_clear(&record);
	see(&m, OLD)->group->decided = true;
	autoprobe_resync(&m);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", OLD);
	end(&m);
}
END_TEST

START_TEST(device_that_went_is_not_probed)
{
	struct manager m;
	struct group *group;

	begin(&m);
	autoprobe_update(&m);
	make_new(NULL);
	group = see(&m, NEW)->group;
	autoprobe_device_came(&m, NEW, true);
	autoprobe_device_went(&m, NEW);
	group->decided = true;
	gate_look(&m);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", "");
	end(&m);
}
END_TEST

START_TEST(time_is_over)
{
	struct manager m;

	begin(&m);
	m.settings.gate_timeout_usec = 0;
	m.settings.gate_on_timeout = _i ? GATE_HOLD : GATE_OPEN;
	autoprobe_update(&m);
	make_new(NULL);
	/* A change of its group is under way. */
	see(&m, NEW)->group->waiting = true;
	autoprobe_device_came(&m, NEW, true);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", _i ? "" : NEW);
	/* When the setting goes nothing waits any longer. */
	m.settings.gate_autoprobe = false;
	autoprobe_update(&m);
	end(&m);
	for (int i = 0; i < 100 && _i; i++) {
		_cleanup_free_ char *text = content("bus/pci/drivers_probe");

		if (*text)
			break;
		usleep(20000);
	}
	ck_assert_content("bus/pci/drivers_probe", NEW);
}
END_TEST

/* Announced again by udevadm trigger it has not come anew. */
START_TEST(time_goes_on)
{
	struct manager m;

	begin(&m);
	m.settings.gate_timeout_usec = USEC_PER_SEC;
	autoprobe_update(&m);
	make_new(NULL);
	see(&m, NEW)->group->waiting = true;
	autoprobe_device_came(&m, NEW, true);
	usleep(USEC_PER_SEC);
	autoprobe_device_came(&m, NEW, false);
	gate_look(&m);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", NEW);
	end(&m);
}
END_TEST

START_TEST(bridge_does_not_wait)
{
	struct manager m;

	begin(&m);
	autoprobe_update(&m);
	make_new(NULL);
	see(&m, NEW)->attributes.bridge = true;
	autoprobe_device_came(&m, NEW, true);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", NEW);
	end(&m);
}
END_TEST

/* No policy can be about it, and nobody would think of it again. */
START_TEST(device_that_cannot_be_read)
{
	struct manager m;

	begin(&m);
	autoprobe_update(&m);
	make_new(NULL);
	autoprobe_device_came(&m, NEW, true);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", NEW);
	end(&m);
}
END_TEST

START_TEST(driver_that_is_loaded_later)
{
	struct manager m;

	begin(&m);
	autoprobe_update(&m);
	see(&m, OLD);
	/* One that waits has its turn with all drivers at once. */
	make_new(NULL);
	see(&m, NEW);
	autoprobe_device_came(&m, NEW, true);
	fake_driver("igb");
	autoprobe_driver_came(&m, "igb");
	loop(&m);
	ck_assert_content("bus/pci/drivers/igb/bind", OLD);
	ck_assert_content("bus/pci/drivers_probe", "");
	end(&m);
}
END_TEST

/* Writes wait until somebody reads, as those to a kernel whose driver takes its time. */
static char *make_slow(const char *path)
{
	char *whole = strf("%s/%s", fake_sysfs_root(), path);

	ck_assert_int_eq(unlink(whole), 0);
	ck_assert_int_eq(mkfifo(whole, 0600), 0);
	return whole;
}

static void let_go(struct manager *m, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	loop(m);
}

static bool has_bound(const char *driver)
{
	_cleanup_free_ char *path = strf("bus/pci/drivers/%s/bind", driver);
	_cleanup_free_ char *text = content(path);

	return *text;
}

/* The process that offers it to all drivers may have listed them already. */
START_TEST(driver_that_comes_during_a_probe)
{
	_cleanup_free_ char *probe = make_slow("bus/pci/drivers_probe");
	struct manager m;

	begin(&m);
	autoprobe_update(&m);
	make_new(NULL);
	see(&m, NEW);
	autoprobe_let_through(&m, NEW);
	ck_assert_int_ge(sd_event_run(m.event, 0), 0);
	fake_driver("igb");
	autoprobe_driver_came(&m, "igb");
	while (!has_bound("igb"))
		ck_assert_int_ge(sd_event_run(m.event, 100 * USEC_PER_MSEC), 0);
	ck_assert_content("bus/pci/drivers/igb/bind", NEW);
	let_go(&m, probe);
	end(&m);
}
END_TEST

/* The end of its probe is none of that of the one which is there now. */
START_TEST(device_that_went_during_a_probe)
{
	_cleanup_free_ char *probe = make_slow("bus/pci/drivers_probe");
	struct autoprobe_record record;
	struct manager m;
	struct group *group;

	begin(&m);
	autoprobe_update(&m);
	make_new(NULL);
	group = see(&m, NEW)->group;
	autoprobe_let_through(&m, NEW);
	while (!has_children())
		ck_assert_int_ge(sd_event_run(m.event, 0), 0);
	autoprobe_device_went(&m, NEW);
	autoprobe_device_came(&m, NEW, true);
	let_go(&m, probe);
	ck_assert_int_eq(autoprobe_record_read(dir, &record), 0);
	ck_assert(!strv_contains(record.devices, NEW));
	autoprobe_record_clear(&record);
	group->decided = true;
	gate_look(&m);
	let_go(&m, probe);
	ck_assert_int_eq(autoprobe_record_read(dir, &record), 0);
	ck_assert(strv_contains(record.devices, NEW));
	autoprobe_record_clear(&record);
	end(&m);
}
END_TEST

/* Nor is what has not begun about that one. */
START_TEST(device_that_went_before_its_probe)
{
	struct autoprobe_record record;
	struct manager m;

	begin(&m);
	autoprobe_update(&m);
	see(&m, OLD);
	fake_driver("igb");
	autoprobe_driver_came(&m, "igb");
	make_new(NULL);
	see(&m, NEW);
	autoprobe_let_through(&m, NEW);
	autoprobe_device_went(&m, OLD);
	autoprobe_device_went(&m, NEW);
	loop(&m);
	ck_assert_content("bus/pci/drivers_probe", "");
	ck_assert_content("bus/pci/drivers/igb/bind", "");
	ck_assert_int_eq(autoprobe_record_read(dir, &record), 0);
	ck_assert(strv_contains(record.drivers, "igb"));
	autoprobe_record_clear(&record);
	end(&m);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("autoprobe");
	TCase *tc = tcase_create("autoprobe");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, record_is_read_as_written);
	tcase_add_test(tc, record_of_a_device_that_was_exchanged);
	tcase_add_loop_test(tc, record_of_somebody_else, 0, 6);
	tcase_add_test(tc, put_back_of_nothing);
	tcase_add_test(tc, put_back_gives_what_waits_to_its_drivers);
	tcase_add_test(tc, put_back_of_a_record_that_cannot_be_read);
	tcase_add_test(tc, put_back_of_the_switch_alone);
	tcase_add_test(tc, switched_and_put_back);
	tcase_add_test(tc, kernel_that_does_not_honour_it);
	tcase_add_test(tc, no_iommu);
	tcase_add_test(tc, put_back_without_a_record);
	tcase_add_test(tc, off_by_somebody_else);
	tcase_add_test(tc, off_by_a_daemon_that_was_killed);
	tcase_add_loop_test(tc, left_by_a_daemon_that_was_killed, 0, 2);
	tcase_add_test(tc, left_with_a_record_that_cannot_be_read);
	tcase_add_test(tc, device_waits_for_its_policy);
	tcase_add_test(tc, device_that_came_meanwhile);
	tcase_add_test(tc, device_that_has_just_come);
	tcase_add_test(tc, device_that_the_kernel_would_ask_again);
	tcase_add_test(tc, device_that_went_is_not_probed);
	tcase_add_loop_test(tc, time_is_over, 0, 2);
	tcase_add_test(tc, time_goes_on);
	tcase_add_test(tc, bridge_does_not_wait);
	tcase_add_test(tc, device_that_cannot_be_read);
	tcase_add_test(tc, driver_that_is_loaded_later);
	tcase_add_test(tc, driver_that_comes_during_a_probe);
	tcase_add_test(tc, device_that_went_during_a_probe);
	tcase_add_test(tc, device_that_went_before_its_probe);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
