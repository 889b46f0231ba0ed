/* Batch scripts filled in, parts, and their ledgers merged. */
#include "coordinator/launch/batch.h"

#include <sys/stat.h>

#include "common/shell.h"
#include "coordinator/campaign/part.h"
#include "coordinator/ledger/merge.h"
#include "farm_fixture.h"

#include <time.h>

static char *no_options[] = {NULL};

static void expect(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("no \"%s\" in:\n%s", part, text);
}

static void test_script(void **state)
{
    char *options[] = {"--workers", "8", "it's", NULL}, *text = NULL, *said = NULL;
    int code;
    Batch b = {.name = "Sommer 1/2",
               .campaign = "/a b/c.yaml",
               .folder = "/o%t/x",
               .program = "/bin/true",
               .nodes = 4,
               .minutes = 61,
               .parts = 1,
               .deadline = 1700000000,
               .partition = "gpu",
               .sbatch = {.count = 1, .text = {"--constraint=h100"}},
               .run_options = options};
    assert_good(batch_fill(&b, &text));
    expect(text, "#SBATCH --requeue\n");
    expect(text, "#SBATCH --job-name=\"reelwright-Sommer_1_2\"\n#SBATCH --nodes=4\n#SBATCH --time=61\n");
    expect(text, "#SBATCH --output=\"/o%%t/x/slurm-%j.log\"\n#SBATCH --partition=\"gpu\"\n#SBATCH --constraint=h100\n");
    expect(text, "export REELWRIGHT_DEADLINE=1700000000\n");
    expect(text, "set -- '/a b/c.yaml' '/o%t/x' '--workers' '8' 'it'\\''s'\n");
    expect(text, "#SBATCH --signal=B:USR1@120\n");
    assert_null(strstr(text, "#SBATCH --array"));
    assert_true(strstr(text, "#SBATCH --nodes=1\n") < strstr(text, "#SBATCH --nodes=4\n")); /* the later one counts */
    char *argv[] = {"bash", "-n", "-c", text, NULL};
    assert_false(failed(shell_run(argv, &said, &code)));
    assert_int_equal(code, 0);
    free(said);
    free(text);

    b.parts = 3;
    assert_good(batch_fill(&b, &text));
    expect(text, "#SBATCH --array=1-3\n#SBATCH --dependency=\n#SBATCH --output=\"/o%%t/x/slurm-%A_%a.log\"\n");
    expect(text, "export REELWRIGHT_PARTS=3\n");
    free(text);
    assert_good(batch_fill_merge(&b, &text));
    expect(text, "#SBATCH --job-name=\"reelwright-Sommer_1_2-merge\"\n");
    expect(text, "set -- '/o%t/x'\n");
    free(text);
    (void)state;
}

/* A deadline of submit's own reaches the run, as a day and a time; many rows need more time at the end. */
static void test_deadline_and_rows(void **state)
{
    Batch b = {.name = "n",
               .campaign = "c.yaml",
               .folder = "/o",
               .program = "/bin/true",
               .nodes = 1,
               .minutes = 60,
               .parts = 1,
               .deadline = 1700000000,
               .own_deadline = true,
               .rows = 1000000,
               .run_options = no_options};
    char *text = NULL;
    assert_int_equal(setenv("TZ", "Europe/Berlin", 1), 0);
    tzset();
    assert_good(batch_fill(&b, &text));
    expect(text, "set -- 'c.yaml' '/o' --deadline '2023-11-14 23:13'\n");
    expect(text, "#SBATCH --signal=B:USR1@220\n");
    free(text);
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
    (void)state;
}

static void test_options_that_do_not_fit(void **state)
{
    char *text = NULL;
    Batch b = {.name = "x",
               .campaign = "/c",
               .folder = "/o",
               .program = "/p",
               .nodes = 1,
               .minutes = 9,
               .parts = 1,
               .run_options = no_options};
    b.partition = "a\nrm -rf /";
    assert_refused(batch_fill(&b, &text), ERR_INPUT, "--partition");
    b.partition = "a\"b";
    assert_refused(batch_fill(&b, &text), ERR_INPUT, "a quote");
    b.partition = NULL;
    b.sbatch = (OptionTexts){.count = 1, .text = {"constraint"}};
    assert_refused(batch_fill(&b, &text), ERR_INPUT, "expected an option of sbatch");
    (void)state;
}

/* A stand-in for sbatch in front of PATH: says what the real one says. */
static void say_as_sbatch(const char *folder, const char *script)
{
    char *file = path_join(folder, "sbatch"), *path = text_format("%s:%s", folder, getenv("PATH"));
    assert_good(file_replace(file, script, strlen(script)));
    assert_int_equal(chmod(file, 0755), 0);
    assert_int_equal(setenv("PATH", path, 1), 0);
    free(file);
    free(path);
}

static void test_what_sbatch_says(void **state)
{
    char *folder = fixture_folder(), *job = NULL, *path = text_copy(getenv("PATH"));
    say_as_sbatch(folder, "#!/bin/sh\necho \"$@\" >&2; echo '4711;east'\n");
    assert_good(batch_submit("/o/x", "12", &job));
    assert_string_equal(job, "4711");
    free(job);
    say_as_sbatch(folder, "#!/bin/sh\necho 'sbatch: error: invalid account' >&2; exit 1\n");
    assert_refused(batch_submit("/o/x", NULL, &job), ERR_INPUT, "sbatch refused /o/x: sbatch: error: invalid account");
    assert_null(job);
    say_as_sbatch(folder,
                  "#!/bin/sh\nprintf 'error: no controller\\n\\nerror: Batch job submission failed\\n' >&2; exit 1\n");
    assert_refused(batch_submit("/o/x", NULL, &job), ERR_INPUT,
                   "refused /o/x: error: no controller; error: Batch job submission failed");
    say_as_sbatch(folder, "#!/bin/sh\necho queued\n");
    assert_refused(batch_submit("/o/x", NULL, &job), ERR_FATAL, "which job");
    assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
    assert_refused(batch_submit("/o/x", NULL, &job), ERR_INPUT, "there is no sbatch here");
    assert_int_equal(setenv("PATH", path, 1), 0);
    fixture_remove(folder);
    free(path);
    (void)state;
}

static void test_part_of(void **state)
{
    Part p;
    static const char *const bad[] = {"", "1", "0/2", "3/2", "1/0", "1/2x", "a/b", "1/1001", "-1/2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(part_parse(bad[i], &p).err, ERR_INPUT);
    assert_good(part_parse("2/3", &p));
    assert_true(part_has(p, 1) && part_has(p, 4) && !part_has(p, 0) && !part_has(p, 2));
    assert_true(part_has((Part){0}, 5) && part_has((Part){1, 1}, 5));
    (void)state;
}

enum { PARTS = 3, ROWS = 22 };

/* Renders the first shots of a part, as a run does, and leaves the last one in work. */
static void work_on(Ledger *l, int shots)
{
    int64_t *shot = NULL, count = 0;
    assert_good(ledger_begin_epoch(l, "host", 1, 10));
    assert_good(ledger_planned_shots(l, &shot, &count));
    for (int64_t i = 0; i < count && i <= shots; i++) {
        assert_good(ledger_begin(l, 20 + (double)i));
        if (i < shots) {
            fixture_render(l, shot[i], "host:1");
            int64_t *clip, waiting;
            assert_good(ledger_waiting_clips(l, shot[i], &clip, &waiting));
            for (int64_t k = 0; k < waiting; k++) fixture_finish(l, clip[k], "host:2");
            free(clip);
        } else {
            Lease lease;
            assert_good(ledger_give_render(l, shot[i], "host:1", &lease));
            lease_clear(&lease);
        }
        assert_good(ledger_commit(l));
    }
    free(shot);
}

typedef struct {
    int64_t next, approved;
} Seen;

static Status see(void *self, const ClipRow *r)
{
    Seen *s = self;
    assert_int_equal(r->clip, s->next++);
    bool approved = strcmp(r->state, "approved") == 0;
    char *file = text_format("clips/%s.mp4", r->stem);
    if (approved) assert_string_equal(r->file, file);
    if (approved) assert_string_equal(r->worker, "host:1"); /* its own lease, renumbered */
    s->approved += approved;
    free(file);
    return status_ok();
}

static void test_merged(void **state)
{
    char *folder = fixture_folder(), *part[PARTS];
    Campaign *c = fixture_campaign("summer", ROWS, 2);
    Snapshot s = {0};
    Seen seen = {0};
    Ledger *l = NULL;
    int count;
    for (int i = 0; i < PARTS; i++) {
        c->part = (Part){i + 1, PARTS};
        assert_good(part_open(folder, c->part));
        part[i] = part_folder(folder, c->part);
        assert_good(ledger_open(part[i], LEDGER_WRITE, &l));
        assert_good(ledger_adopt(l, c, 5));
        work_on(l, i + 1); /* and none is complete */
        ledger_close(&l);
    }
    assert_good(part_count(folder, &count));
    assert_int_equal(count, PARTS);
    assert_refused(part_open(folder, (Part){1, 4}), ERR_INPUT, "divided into 3 parts");

    char *whole = path_join(folder, "whole");
    assert_good(file_make_folders(whole));
    assert_good(ledger_merge(whole, part, PARTS));
    assert_good(ledger_open(whole, LEDGER_READ, &l));
    assert_good(ledger_read_snapshot(l, &s));
    assert_int_equal(s.clips, ROWS);
    assert_int_equal(s.shots, ROWS / 2);
    assert_int_equal(s.finished, 2 * (1 + 2 + 3));
    assert_int_equal(s.part.count, 1);
    assert_string_equal(s.fingerprint, c->fingerprint);
    assert_good(ledger_check_counts(l));
    assert_good(ledger_read_clips(l, NULL, (ClipSink){see, &seen})); /* all rows, in the customers' order */
    assert_int_equal(seen.next, ROWS);
    assert_int_equal(seen.approved, s.finished);
    ledger_close(&l);
    snapshot_clear(&s);

    assert_good(ledger_open(whole, LEDGER_WRITE, &l)); /* it is a ledger like any other: the rest can be rendered */
    c->part = (Part){0};
    assert_good(ledger_adopt(l, c, 30));
    work_on(l, 100);
    assert_good(ledger_read_snapshot(l, &s));
    assert_int_equal(s.left, 0);
    ledger_close(&l);
    snapshot_clear(&s);

    char *twice[] = {part[0], part[0], part[2]}, *other = path_join(folder, "other");
    assert_good(file_make_folders(other));
    assert_refused(ledger_merge(other, twice, PARTS), ERR_INPUT, "holds part 1 of 3, expected 2 of 3");
    for (int i = 0; i < PARTS; i++) free(part[i]);
    free(whole);
    free(other);
    fixture_campaign_free(c);
    fixture_remove(folder);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest test[] = {cmocka_unit_test(test_script),
                                      cmocka_unit_test(test_deadline_and_rows),
                                      cmocka_unit_test(test_options_that_do_not_fit),
                                      cmocka_unit_test(test_what_sbatch_says),
                                      cmocka_unit_test(test_part_of),
                                      cmocka_unit_test(test_merged)};
    return cmocka_run_group_tests(test, NULL, NULL);
}
