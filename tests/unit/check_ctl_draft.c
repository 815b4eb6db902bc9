/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <glob.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/draft.h"
#include "ctl/permanent.h"
#include "ctl/policy-read.h"
#include "ctl/util.h"
#include "tests/unit/fake-sysfs.h"

#define FIRST "0000:3b:00.0"

static const struct ctl ctl;

static char *content(const char *path)
{
	char *text = calloc(1, 256);
	FILE *f = fopen(path, "re");

	ck_assert_ptr_nonnull(f);
	fread(text, 1, 255, f);
	fclose(f);
	return text;
}

static void ck_content(const char *path, const char *wanted)
{
	_cleanup_free_ char *text = content(path);

	ck_assert_str_eq(text, wanted);
}

START_TEST(draft)
{
	static const char mine[] = "# mine\none\n", again[] = "# mine\ntwo\n", other[] = "# others\n";
	_cleanup_free_ char *path = NULL;
	struct draft d;
	struct stat st;
	mode_t mask;

	ck_assert_int_ge(asprintf(&path, "%s/file", fake_sysfs_root()), 0);
	/* Hidden until it is committed, and gone if it is not. */
	ck_assert_int_eq(draft_write(&ctl, &d, path, mine, DRAFT_OVER_OWN), 0);
	ck_assert_int_lt(access(path, F_OK), 0);
	ck_content(d.temporary, mine);
	ck_assert_ptr_nonnull(strstr(d.temporary, "/.file."));
	draft_clear(&d);

	mask = umask(077);
	ck_assert_int_eq(draft_write(&ctl, &d, path, mine, DRAFT_OVER_OWN), 0);
	ck_assert_int_eq(draft_commit(&ctl, &d), 0);
	umask(mask);
	draft_clear(&d);
	ck_content(path, mine);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0644);

	/* What begins as it does it may replace; where it must be new, not even that. */
	ck_assert_int_eq(draft_write(&ctl, &d, path, again, DRAFT_OVER_NOTHING), EXIT_CODE_FAILED);
	draft_clear(&d);
	ck_assert_int_eq(draft_write(&ctl, &d, path, again, DRAFT_OVER_OWN), 0);
	ck_assert(d.replaces);
	ck_assert_int_eq(draft_commit(&ctl, &d), 0);
	draft_clear(&d);
	ck_content(path, again);
	ck_assert_int_eq(draft_write(&ctl, &d, path, other, DRAFT_OVER_OWN), EXIT_CODE_FAILED);
	draft_clear(&d);
	ck_content(path, again);
	ck_assert_int_eq(draft_write(&ctl, &d, path, other, DRAFT_OVER_ANY), 0);
	ck_assert_int_eq(draft_commit(&ctl, &d), 0);
	draft_clear(&d);
	ck_content(path, other);

	/* Whoever comes between is not written over either. */
	unlink(path);
	ck_assert_int_eq(draft_write(&ctl, &d, path, mine, DRAFT_OVER_OWN), 0);
	fake_file(other, "file");
	ck_assert_int_eq(draft_commit(&ctl, &d), EXIT_CODE_FAILED);
	draft_clear(&d);
	ck_content(path, other);
	/* Nor one who has made the file his own since, by its first line. */
	fake_file(mine, "file");
	ck_assert_int_eq(draft_write(&ctl, &d, path, again, DRAFT_OVER_OWN), 0);
	fake_file(other, "file");
	ck_assert_int_eq(draft_commit(&ctl, &d), EXIT_CODE_FAILED);
	draft_clear(&d);
	ck_content(path, other);
	/* A file that has gone meanwhile is no longer replaced. */
	fake_file(mine, "file");
	ck_assert_int_eq(draft_write(&ctl, &d, path, again, DRAFT_OVER_OWN), 0);
	unlink(path);
	ck_assert_int_eq(draft_commit(&ctl, &d), 0);
	ck_assert(!d.replaces);
	draft_clear(&d);
	ck_content(path, again);
	unlink(path);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	ck_assert_int_eq(draft_write(&ctl, &d, path, mine, DRAFT_OVER_ANY), EXIT_CODE_FAILED);
	draft_clear(&d);
}
END_TEST

/* Who interrupts a command leaves nothing behind, and who ignores a signal goes on doing so. */
START_TEST(draft_interrupted)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGTERM };
	_cleanup_free_ char *path = NULL, *pattern = NULL;
	struct draft d;
	glob_t left;
	int status;
	pid_t pid;

	ck_assert_int_ge(asprintf(&path, "%s/file", fake_sysfs_root()), 0);
	ck_assert_int_ge(asprintf(&pattern, "%s/.file.*", fake_sysfs_root()), 0);
	pid = fork();
	if (pid == 0) {
		struct sigaction action;

		signal(numbers[_i], SIG_IGN);
		if (draft_write(&ctl, &d, path, "x\n", DRAFT_OVER_NOTHING) != 0)
			_exit(1);
		raise(numbers[_i]);
		draft_clear(&d);
		sigaction(numbers[_i], NULL, &action);
		if (action.sa_handler != SIG_IGN)
			_exit(2);
		signal(numbers[_i], SIG_DFL);
		if (draft_write(&ctl, &d, path, "x\n", DRAFT_OVER_NOTHING) != 0 ||
		    access(d.temporary, F_OK) < 0)
			_exit(3);
		raise(numbers[_i]);
		_exit(4);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == numbers[_i], "%x", status);
	ck_assert_int_eq(glob(pattern, 0, NULL, &left), GLOB_NOMATCH);
}
END_TEST

#define BRIDGE "0000:00:1c.0"

/* What set --permanent makes of a rule that is read after its own, for the type DMA-FQ. */
static const struct {
	const char *late;
	int code;
	const char *said[2];
} judged[] = {
	{ "# nothing\n", EXIT_CODE_DONE, { "", "" } },
	{ "[b]\nmatch-address = " FIRST "\ndomain = DMA\n", EXIT_CODE_REFUSED,
	  { "for " FIRST ", [b] (", "would go before a file of the name 90-set.conf" } },
	/* The file never names a bridge: what counts is whether the bridge has its way. */
	{ "[b]\nmatch-address = " BRIDGE "\ndomain = identity\n", EXIT_CODE_DONE, { "", "" } },
	{ "[b]\nmatch-address = " BRIDGE "\ndomain = blocked\n", EXIT_CODE_REFUSED,
	  { "[set] (/p/90-set.conf:1)", "[b]" } },
};

START_TEST(permanent)
{
	const struct device_facts device = { .address = FIRST, .class_code = 0x020000 };
	const struct device_facts bridge = { .address = BRIDGE, .class_code = 0x060400, .bridge = true };
	const struct device_facts *const devices[] = { &device, &bridge };
	const struct group_facts facts = { devices, 2, DOMAIN_DMA, DOMAIN_DMA, false };
	_cleanup_free_ char *hidden = NULL, *late = NULL, *said = NULL;
	_cleanup_(policy_errors_clear) struct policy_errors errors = { 0 };
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct draft d = { .path = (char *)"/p/90-set.conf" };
	FILE *keep = stderr;
	size_t size;
	int code;

	fake_file("[set]\nmatch-address = " FIRST "\ndomain = DMA-FQ\n", ".hidden");
	fake_file(judged[_i].late, "late.conf");
	ck_assert_int_ge(asprintf(&hidden, "%s/.hidden", fake_sysfs_root()), 0);
	ck_assert_int_ge(asprintf(&late, "%s/late.conf", fake_sysfs_root()), 0);
	d.temporary = hidden;
	ck_assert_int_eq(policy_load_files((const char *const[]){ hidden, late, NULL }, &policy, &errors), 0);
	stderr = open_memstream(&said, &size);
	code = permanent_judge(&ctl, &d, policy, &facts, DOMAIN_DMA_FQ);
	fclose(stderr);
	stderr = keep;
	ck_assert_int_eq(code, judged[_i].code);
	ck_assert_msg((*said == '\0') == (code == EXIT_CODE_DONE), "%s", said);
	for (size_t i = 0; i < 2; i++)
		ck_assert_msg(strstr(said, judged[_i].said[i]) != NULL, "%s", said);
	ck_assert_msg(!strstr(said, ".hidden"), "%s", said);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl draft");
	TCase *tc = tcase_create("draft");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, fake_sysfs_make, fake_sysfs_remove);
	tcase_add_test(tc, draft);
	tcase_add_loop_test(tc, draft_interrupted, 0, 3);
	tcase_add_loop_test(tc, permanent, 0, (int)ARRAY_SIZE(judged));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
