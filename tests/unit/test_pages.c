/* test_pages.c - what people and spreadsheets read: the delivery list, the report, progress, and the copies. */
#include "farm_fixture.h"

#include "coordinator/deliver/deliver.h"
#include "coordinator/deliver/report.h"
#include "coordinator/watch/progress.h"

typedef struct {
    char *folder;
    Campaign *campaign;
    Ledger *ledger;
} Pages;

static void finish_shot(Pages *p, int64_t shot, bool good)
{
    Lease lease;
    bool more;
    assert_good(ledger_begin(p->ledger, 1000 + (double)shot));
    assert_good(ledger_give_lease(p->ledger, shot, "node<1>:7", &lease));
    LeaseResult r = {.lease = lease.lease, .epoch = lease.epoch, .reason = "", .denoise_s = 2, .steps_done = 4};
    r.clip_count = lease.clip_count;
    r.clip = memory_get((size_t)lease.clip_count, sizeof *r.clip);
    for (int i = 0; i < lease.clip_count && good; i++) {
        char *name = text_format("clips/%s.mp4", lease.clip[i].stem), *path = path_join(p->folder, name);
        assert_good(file_replace(path, name, strlen(name)));
        r.clip[i] = (ClipResult){.clip_id = text_copy(lease.clip[i].clip_id),
                                 .file = name,
                                 .thumbnail = text_copy(""),
                                 .sheet = text_copy(""),
                                 .duration_s = 4.125,
                                 .width = 72,
                                 .height = 128};
        hash_bytes(name, strlen(name), r.clip[i].sha256);
        free(path);
    }
    if (good)
        assert_good(ledger_take_result(p->ledger, &r, &more));
    else
        assert_good(ledger_end_lease(p->ledger, lease.lease, "failed", NULL, "x"));
    if (!good) assert_good(ledger_give_up(p->ledger, shot, "<script>alert(\"no\")</script>, twice"));
    assert_good(ledger_commit(p->ledger));
    r.reason = NULL;
    lease_result_clear(&r);
    lease_clear(&lease);
}

/* Six rows, three shots: the first two are rendered, the third failed; the last row was refused. */
static Pages open_pages(void)
{
    Pages p = {.folder = fixture_folder(), .campaign = fixture_campaign("so<mmer>", 6, 2)};
    p.campaign->clip[5].refusal = text_copy("no consent, \"yet\"");
    p.campaign->clip[5].shot = -1;
    char *clips = path_join(p.folder, "clips");
    assert_good(file_make_folders(clips));
    free(clips);
    assert_good(ledger_open(p.folder, LEDGER_WRITE, &p.ledger));
    assert_good(ledger_adopt(p.ledger, p.campaign, 999));
    assert_good(ledger_begin_epoch(p.ledger, "host", 1, 999));
    finish_shot(&p, 0, true);
    finish_shot(&p, 1, true);
    finish_shot(&p, 2, false);
    return p;
}

static void close_pages(Pages *p)
{
    ledger_close(&p->ledger);
    free(p->campaign->clip[5].refusal);
    fixture_campaign_free(p->campaign);
    fixture_remove(p->folder);
}

static char *read_text(const Pages *p, const char *name)
{
    char *path = path_join(p->folder, name), *text;
    size_t bytes;
    assert_good(file_read(path, 1 << 24, &text, &bytes));
    free(path);
    return text;
}

static void has(const char *text, const char *part)
{
    assert_non_null(text);
    if (!strstr(text, part)) fail_msg("expected \"%s\" in:\n%s", part, text);
}

static void test_the_list_has_every_row(void **state)
{
    (void)state;
    Pages p = open_pages();
    char *file = path_join(p.folder, "delivery.csv");
    assert_good(deliver_write_list(p.ledger, file));
    char *text = read_text(&p, "delivery.csv");
    has(text,
        "id,\"na\"\"me\",clip_id,status,reason,file,thumbnail,sha256,duration_s,width,height,seed,shot,model,reviewer,"
        "decided_at\n");
    has(text, "\nrow0,\"Jürgen, \"\"0\"\"\nzwei\",row0,approved,,clips/stem0.mp4,,");
    has(text, ",4.125,72,128,0,");
    has(text, "\nrow4,\"Jürgen, \"\"4\"\"\nzwei\",row4,failed,\"<script>alert(\"\"no\"\")</script>, twice\",,,,,,,2,");
    has(text,
        "\nrow5,\"Jürgen, \"\"5\"\"\nzwei\",row5,refused,\"no consent, \"\"yet\"\"\",,,,,,,,,model@eeeeeeeeeeee,,\n");
    has(text, ",1970-01-01T00:16:41.000Z\n");
    free(text);
    free(file);
    close_pages(&p);
}

static void test_the_report_escapes_and_explains(void **state)
{
    (void)state;
    Pages p = open_pages();
    assert_good(report_write(p.ledger));
    char *text = read_text(&p, "report/index.html");
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "http:"));
    has(text, "<h1>so&lt;mmer&gt;</h1>");
    has(text, "&lt;script&gt;alert(&quot;no&quot;)&lt;/script&gt;, twice");
    has(text, "1 of 5 clips failed");
    has(text, "no consent, &quot;yet&quot;");
    has(text, "node&lt;1&gt;:7");
    has(text, "and 1 more");
    free(text);
    close_pages(&p);
}

static void test_copies_are_verified(void **state)
{
    (void)state;
    Pages p = open_pages();
    Delivery done;
    char *changed = path_join(p.folder, "clips/stem2.mp4");
    assert_good(file_replace(changed, "another", 7));
    assert_refused(deliver_clips(p.ledger, &done), ERR_CLIP, "stem2.mp4");
    assert_int_equal(done.delivered, 3);
    char *text = read_text(&p, "delivery/clips/stem1.mp4");
    assert_string_equal(text, "clips/stem1.mp4");
    free(text);
    assert_good(file_replace(changed, "clips/stem2.mp4", 15));
    assert_good(deliver_clips(p.ledger, &done));
    assert_int_equal(done.delivered, 1); /* the others were there already */
    Snapshot s;
    assert_good(ledger_read_snapshot(p.ledger, &s));
    assert_int_equal(s.clip_count[CLIP_DELIVERED], 4);
    snapshot_clear(&s);
    free(changed);
    close_pages(&p);
}

static void test_progress_fits_its_width(void **state)
{
    (void)state;
    Pages p = open_pages();
    WorkerLine w = {.rank = 1,
                    .host = "host",
                    .state = "working",
                    .stage = "denoise",
                    .clip = "größe",
                    .clip_count = 3,
                    .done = 9,
                    .total = 16,
                    .lease = 1,
                    .shot = 0,
                    .heard_s = 1100};
    assert_good(ledger_begin(p.ledger, 1100));
    assert_good(ledger_note_worker(p.ledger, &w));
    assert_good(ledger_note_alive(p.ledger));
    assert_good(ledger_commit(p.ledger));
    Snapshot s;
    assert_good(ledger_read_snapshot(p.ledger, &s));
    char *line = progress_line(&s, 1101);
    has(line, "so<mmer>: finished, 4 of 5 clips done, 1 failed, 1 refused");
    for (int width = 10; width < 140; width += 13) {
        char *page = progress_page(&s, 1101, width, 20);
        int columns = 0;
        for (const char *c = page; *c; c++) {
            columns = *c == '\n' ? 0 : columns + ((*c & 0xc0) != 0x80);
            assert_true(columns <= width);
        }
        if (width > 60) has(page, "worker 1   denoise    9/16  größe and 2 more");
        free(page);
    }
    free(line);
    snapshot_clear(&s);
    close_pages(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_list_has_every_row),
        cmocka_unit_test(test_the_report_escapes_and_explains),
        cmocka_unit_test(test_copies_are_verified),
        cmocka_unit_test(test_progress_fits_its_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
