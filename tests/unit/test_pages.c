/* test_pages.c - what people and spreadsheets read: the delivery list, the report, progress, and the copies. */
#include "farm_fixture.h"

#include <sys/stat.h>

#include "coordinator/campaign/customers.h"
#include "coordinator/campaign/list_columns.h"
#include "coordinator/deliver/deliver.h"
#include "coordinator/deliver/filecheck.h"
#include "coordinator/deliver/list.h"
#include "coordinator/deliver/report.h"
#include "coordinator/ledger/lost.h"
#include "coordinator/watch/progress.h"

typedef struct {
    char *folder;
    Campaign *campaign;
    Ledger *ledger;
} Pages;

static void finish_shot(Pages *p, int64_t shot, bool good)
{
    bool gone;
    int64_t *clip, count;
    assert_good(ledger_begin(p->ledger, 1000 + (double)shot));
    if (!good) {
        fixture_fail(p->ledger, LEASE_RENDER, shot, "node<1>:7", LEASE_FAILED);
        assert_good(ledger_give_up(p->ledger, LEASE_RENDER, shot, "<script>alert(\"no\")</script>, twice", &gone));
        assert_good(ledger_commit(p->ledger));
        return;
    }
    fixture_render(p->ledger, shot, "node<1>:7");
    assert_good(ledger_waiting_clips(p->ledger, shot, &clip, &count));
    for (int64_t i = 0; i < count; i++) {
        char *name = text_format("clips/stem%d.mp4", (int)clip[i]), *path = path_join(p->folder, name);
        assert_good(file_replace(path, name, strlen(name)));
        fixture_finish(p->ledger, clip[i], "node<2>:8");
        free(path);
        free(name);
    }
    assert_good(ledger_commit(p->ledger));
    free(clip);
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

static void test_no_cell_is_computed(void **state)
{
    static const char *const formula[] = {"=1+1",       "=cmd|'/C calc'!A0",
                                          "@SUM(A1)",   "+1+cmd|' /C calc'!A0",
                                          "-2+3+cmd|x", "\t=1",
                                          "\r=1",       "'=1"},
                             *const plain[] = {"", "Anna", "-5", "-5.25", "+49 (0)30 / 123-45", "- ", "a=1", "'n", "'"};
    (void)state;
    for (size_t i = 0; i < sizeof formula / sizeof *formula; i++)
        if (!list_is_formula(formula[i])) fail_msg("%s", formula[i]);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (list_is_formula(plain[i])) fail_msg("%s", plain[i]);
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
        "decided_at,fallbacks,variant,captions,gif,page,disclosure,credentials,watermark\n");
    has(text, "\nrow0,\"Jürgen, \"\"0\"\"\nzwei\",row0,approved,,clips/stem0.mp4,,");
    has(text, ",4.125,72,128,0,");
    has(text, "\nrow4,\"Jürgen, \"\"4\"\"\nzwei\",row4,failed,\"<script>alert(\"\"no\"\")</script>, twice\",,,,,,,2,");
    has(text, "\nrow5,\"Jürgen, \"\"5\"\"\nzwei\",row5,refused,\"no consent, "
              "\"\"yet\"\"\",,,,,,,,,model@eeeeeeeeeeee,,,,,,,,,,\n");
    has(text, ",1970-01-01T00:16:41.000Z,,,,,,synthetic,,\n");
    free(text);
    free(file);
    close_pages(&p);
}

static void test_a_columns_name_is_not_computed(void **state)
{
    (void)state;
    Pages p = {.folder = fixture_folder(), .campaign = fixture_campaign("summer", 2, 2)};
    free(p.campaign->customers.column[1]);
    p.campaign->customers.column[1] = text_copy("=HYPERLINK(\"http://x\")");
    assert_good(ledger_open(p.folder, LEDGER_WRITE, &p.ledger));
    assert_good(ledger_adopt(p.ledger, p.campaign, 999));
    char *file = path_join(p.folder, "delivery.csv"), *text;
    assert_good(deliver_write_list(p.ledger, file));
    text = read_text(&p, "delivery.csv");
    has(text, "id,\"'=HYPERLINK(\"\"http://x\"\")\",clip_id,");
    free(text);
    free(file);
    ledger_close(&p.ledger);
    fixture_campaign_free(p.campaign);
    fixture_remove(p.folder);
}

/* A customer's value, written to a list and read from it. */
static void test_a_list_is_read_as_it_was(void **state)
{
    static const char *const value[] = {"\t=1", "\r=1", "'=1", "''@x", "?=1", "=1,\"2\"", "-5", "'n", " +a"};
    (void)state;
    for (size_t i = 0; i < sizeof value / sizeof *value; i++) {
        Pages p = {.folder = fixture_folder(), .campaign = fixture_campaign("summer", 2, 2)};
        Customers *written = &p.campaign->customers, read;
        Faults *faults = faults_new();
        char **cell = &written->value[written->column_count + 1];
        free(*cell);
        *cell = text_copy(value[i]);
        assert_good(ledger_open(p.folder, LEDGER_WRITE, &p.ledger));
        assert_good(ledger_adopt(p.ledger, p.campaign, 999));
        char *file = path_join(p.folder, "delivery.csv");
        assert_good(deliver_write_list(p.ledger, file));
        char *text = read_text(&p, "delivery.csv");
        customers_parse_csv("delivery.csv", text, strlen(text), NULL, faults, &read);
        assert_good(faults_status(faults));
        assert_int_equal(read.column_count, 2);
        assert_string_equal(read.value[read.column_count + 1], value[i]);
        customers_free(&read);
        faults_free(&faults);
        free(text);
        free(file);
        ledger_close(&p.ledger);
        fixture_campaign_free(p.campaign);
        fixture_remove(p.folder);
    }
}

static void test_the_report_escapes_and_explains(void **state)
{
    (void)state;
    Pages p = open_pages();
    assert_good(report_write(p.ledger, p.folder));
    char *text = read_text(&p, "report/index.html");
    assert_null(strstr(text, "<script>alert"));
    assert_null(strstr(text, "http:"));
    has(text, "<h1>so&lt;mmer&gt;</h1>");
    has(text, "&lt;script&gt;alert(&quot;no&quot;)&lt;/script&gt;, twice");
    has(text, "1 of 5 clips failed");
    has(text, "no consent, &quot;yet&quot;");
    has(text, "node&lt;1&gt;:7");
    has(text, "and 1 more");
    has(text, "<a class=play href='../clips/stem0.mp4' aria-label='play row0'>");
    assert_null(strstr(text, "<video")); /* an empty player is a black box */
    has(text, "<span class=soft><bdi>na&quot;me</bdi>:</span> <bdi>Jürgen, &quot;0&quot;\nzwei</bdi>");
    has(text, "'><bdi>row0</bdi></a>");
    has(text, "<input id=search type=search hidden");
    free(text);
    close_pages(&p);
}

/* A render of a shot from..to, the last two seconds of it denoising, the first `shared` steps another's. */
static void render_from_to(Ledger *l, int64_t shot, const char *worker, double from, double to, int shared)
{
    Lease lease;
    bool gone;
    assert_good(ledger_begin(l, from));
    assert_good(ledger_give_render(l, shot, worker, &lease));
    assert_good(ledger_commit(l));
    LeaseResult r = fixture_render_result(&lease);
    r.steps_resumed = shared;
    r.steps_done -= shared;
    assert_good(ledger_begin(l, to));
    assert_good(ledger_take_result(l, &r, &gone));
    assert_good(ledger_commit(l));
    lease_result_clear(&r);
    lease_clear(&lease);
}

/* Denoising from 8 to 10 and from 12 to 14 of 14 seconds, so four of the six between the first step and the last. */
static void test_the_timeline_shows_what_workers_did(void **state)
{
    (void)state;
    Pages p = {.folder = fixture_folder(), .campaign = fixture_campaign("summer", 6, 2)};
    for (int i = 0; i < 2; i++) {
        p.campaign->shot[i].spec.trunk_steps = 1;
        p.campaign->shot[i].spec.trunk_prompt = (char *)(uintptr_t) "a";
    }
    const int steps = p.campaign->shot[0].spec.steps;
    assert_good(ledger_open(p.folder, LEDGER_WRITE, &p.ledger));
    assert_good(ledger_adopt(p.ledger, p.campaign, 999));
    assert_good(ledger_begin_epoch(p.ledger, "host", 1, 999));
    render_from_to(p.ledger, 0, "node<1>:7", 1000, 1010, 0);
    render_from_to(p.ledger, 1, "node<1>:7", 1010, 1014, 1);
    assert_good(report_write(p.ledger, p.folder));
    char *text = read_text(&p, "report/index.html");
    char *saved = text_format("(1 of %d): 1 of %d denoising steps were not computed", steps, 2 * steps);
    has(text, "<text x=0 y=12>node&lt;1&gt;:7</text>");
    has(text, "its device was busy 66.7 %");
    has(text, saved);
    /* 800 columns for 14 seconds: loading to the 457th, then denoising */
    has(text, "<rect x=190 y=0 width=457 height=16 fill='var(--soft)'/><rect x=647 y=0 width=114 height=16 "
              "fill='var(--b)'/>");
    free(saved);
    free(text);
    for (int i = 0; i < 2; i++) p.campaign->shot[i].spec.trunk_prompt = NULL;
    close_pages(&p);
}

/* Denoising from 7 to 9; the shot is at its end beside the next lease from 9 to 13, though it took half a second of processor time. */
static void test_the_timeline_shows_what_is_decoded_beside_the_next_lease(void **state)
{
    (void)state;
    Pages p = {.folder = fixture_folder(), .campaign = fixture_campaign("summer", 6, 2)};
    Lease first, second;
    bool gone;
    assert_good(ledger_open(p.folder, LEDGER_WRITE, &p.ledger));
    assert_good(ledger_adopt(p.ledger, p.campaign, 999));
    assert_good(ledger_begin_epoch(p.ledger, "host", 1, 999));
    assert_good(ledger_begin(p.ledger, 1000));
    assert_good(ledger_give_render(p.ledger, 0, "node:7", &first));
    assert_good(ledger_commit(p.ledger));
    assert_good(ledger_begin(p.ledger, 1009));
    assert_good(ledger_give_render(p.ledger, 1, "node:7", &second));
    assert_good(ledger_commit(p.ledger));
    const Lease *const order[] = {&first, &second};
    for (int i = 0; i < 2; i++) {
        LeaseResult r = fixture_render_result(order[i]);
        r.decode_s = i ? 3 : 0.5;
        assert_good(ledger_begin(p.ledger, i ? 1016 : 1013));
        assert_good(ledger_take_result(p.ledger, &r, &gone));
        assert_good(ledger_commit(p.ledger));
        lease_result_clear(&r);
    }
    assert_good(report_write(p.ledger, p.folder));
    char *text = read_text(&p, "report/index.html");
    /* 800 columns for 16 seconds: loading to the 350th, then denoising, then decoding to the 550th, beside which the next one loads */
    has(text, "<rect x=190 y=0 width=350 height=16 fill='var(--soft)'/><rect x=540 y=0 width=100 height=16 "
              "fill='var(--b)'/>");
    has(text, "its device was busy 100.0 %");
    free(text);
    lease_clear(&first);
    lease_clear(&second);
    close_pages(&p);
}

static char *of(const Pages *p, const char *name) { return path_join(p->folder, name); }

static void put_file(const Pages *p, const char *name, const char *text)
{
    char *path = of(p, name);
    assert_good(file_replace(path, text, strlen(text)));
    free(path);
}

static void drop_file(const Pages *p, const char *name)
{
    char *path = of(p, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void states_are(const Pages *p, int delivered, int planned)
{
    Snapshot s;
    assert_good(ledger_read_snapshot(p->ledger, &s));
    assert_int_equal(s.clip_count[CLIP_DELIVERED], delivered);
    assert_int_equal(s.clip_count[CLIP_PLANNED], planned);
    snapshot_clear(&s);
    assert_good(ledger_check_counts(p->ledger));
}

static Delivery deliver(const Pages *p, bool thorough, ErrClass expected, const char *message)
{
    Delivery done;
    Status status = deliver_clips(p->ledger, &(DeliverOptions){.host = "here", .thorough = thorough}, &done);
    if (expected == OK)
        assert_good(status);
    else
        assert_refused(status, expected, message);
    return done;
}

/* One that was changed costs the others nothing, is planned again with the reason in the list, and is delivered when it is made. */
static void test_a_damaged_clip_is_made_again(void **state)
{
    (void)state;
    Pages p = open_pages();
    put_file(&p, "clips/stem2.mp4", "another");
    Delivery done = deliver(&p, false, ERR_CLIP, "stem2.mp4: its SHA-256 is");
    assert_int_equal(done.delivered, 3);
    assert_int_equal(done.lost, 1);
    states_are(&p, 3, 1);
    char *list = path_join(p.folder, "delivery.csv");
    assert_good(deliver_write_list(p.ledger, list));
    char *text = read_text(&p, "delivery.csv");
    has(text, "row2,planned,\"clips/stem2.mp4: its SHA-256");
    assert_null(strstr(text, p.folder)); /* it goes to others */
    free(text);
    finish_shot(&p, 1, true);
    done = deliver(&p, false, OK, NULL);
    assert_int_equal(done.delivered, 1);
    states_are(&p, 4, 0);
    text = read_text(&p, "delivery/clips/stem2.mp4");
    assert_string_equal(text, "clips/stem2.mp4");
    free(text);
    free(list);
    close_pages(&p);
}

static void test_what_left_delivery_comes_back(void **state)
{
    (void)state;
    Pages p = open_pages();
    assert_int_equal(deliver(&p, false, OK, NULL).delivered, 4);
    drop_file(&p, "delivery/clips/stem0.mp4");
    put_file(&p, "delivery/clips/stem1.mp4", "clips/stem0.mp4"); /* as long: only its bytes tell */
    put_file(&p, "delivery/clips/stem3.mp4", "");
    assert_int_equal(deliver(&p, false, OK, NULL).restored, 2);
    Delivery done = deliver(&p, true, OK, NULL);
    assert_int_equal(done.restored, 1);
    assert_int_equal(done.delivered, 0);
    for (int i = 0; i < 4; i++) {
        char *name = text_format("clips/stem%d.mp4", i), *copy = path_join("delivery", name),
             *text = read_text(&p, copy);
        assert_string_equal(text, name);
        free(text);
        free(copy);
        free(name);
    }
    states_are(&p, 4, 0);
    close_pages(&p);
}

static void test_the_other_copy_is_good_enough(void **state)
{
    (void)state;
    Pages p = open_pages();
    deliver(&p, false, OK, NULL);
    drop_file(&p, "clips/stem1.mp4");
    assert_int_equal(deliver(&p, false, OK, NULL).restored, 1);
    char *text = read_text(&p, "clips/stem1.mp4");
    assert_string_equal(text, "clips/stem1.mp4");
    free(text);
    drop_file(&p, "clips/stem1.mp4");
    drop_file(&p, "delivery/clips/stem1.mp4"); /* both: nothing is left of it */
    assert_int_equal(deliver(&p, false, ERR_CLIP, "clips/stem1.mp4: the file is missing").lost, 1);
    states_are(&p, 3, 1);
    close_pages(&p);
}

/* Row 1 is made once more, as a second name of row 0's file. */
static void finish_as_one(const Pages *p, const char *first, const char *second)
{
    Lease lease;
    bool gone;
    int64_t shot;
    assert_good(ledger_begin(p->ledger, 2000));
    assert_good(ledger_lose_clip(p->ledger, 1, "as ordered"));
    fixture_render(p->ledger, 0, "node");
    assert_good(ledger_give_finish(p->ledger, 1, "node", &lease, &shot));
    unlink(second);
    assert_int_equal(link(first, second), 0);
    LeaseResult r = fixture_finish_result(&lease);
    assert_good(hash_file(first, r.clip.sha256));
    assert_good(ledger_take_result(p->ledger, &r, &gone));
    assert_true(gone);
    assert_good(ledger_commit(p->ledger));
    lease_result_clear(&r);
    lease_clear(&lease);
}

static ino_t inode_of(const Pages *p, const char *name)
{
    struct stat st;
    char *path = of(p, name);
    assert_int_equal(stat(path, &st), 0);
    free(path);
    return st.st_ino;
}

/* A shared shot's clips are one file, and stay one; where the file system cannot clone, the delivered ones are that file too. */
static void test_equal_clips_stay_one_file(void **state)
{
    (void)state;
    Pages p = open_pages();
    char *first = of(&p, "clips/stem0.mp4"), *second = of(&p, "clips/stem1.mp4");
    finish_as_one(&p, first, second);
    assert_int_equal(deliver(&p, false, OK, NULL).delivered, 4);
    assert_int_equal(inode_of(&p, "delivery/clips/stem0.mp4"), inode_of(&p, "delivery/clips/stem1.mp4"));
    assert_int_not_equal(inode_of(&p, "delivery/clips/stem0.mp4"), inode_of(&p, "delivery/clips/stem2.mp4"));
    free(first);
    free(second);
    close_pages(&p);
}

static void test_the_form_of_a_file_tells_whether_it_is_whole(void **state)
{
    (void)state;
    Pages p = open_pages();
    static const char movie[] = "\0\0\0\x0c"
                                "ftypmp42\0\0\0\x0a"
                                "moov!!\0\0\0\x0d"
                                "mdatvideo";
    static const char png[] = "\x89PNG\r\n\x1a\n....\0\0\0\0IEND\xae\x42\x60\x82";
    const struct {
        const char *name, *bytes;
        size_t count;
        bool whole;
    } file[] = {{"a.mp4", movie, sizeof movie - 1, true},
                {"b.mp4", movie, sizeof movie - 2, false},
                {"c.mp4", movie, 12, false},
                {"d.mp4", movie, 0, false},
                {"e.png", png, sizeof png - 1, true},
                {"f.png", png, sizeof png - 2, false},
                {"g.png", png, 0, false},
                {"h.jpg", "\xff\xd8..\xff\xd9", 6, true},
                {"i.jpg", "\xff\xd8..\xff\xd9", 5, false}};
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        char *path = of(&p, file[i].name);
        assert_good(file_replace(path, file[i].bytes, file[i].count));
        if (file[i].whole)
            assert_good(filecheck_whole(path, NULL));
        else
            assert_refused(filecheck_whole(path, NULL), ERR_CLIP, "empty or cut");
        free(path);
    }
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
    s.finished -= s.undecided = 3;
    char *waits = progress_line(&s, 1101);
    has(waits, "1 of 5 clips done, 3 wait for a decision, 1 failed");
    free(waits);
    for (int width = 10; width < 140; width += 13) {
        char *page = progress_page(&s, 1101, width, 20);
        int columns = 0;
        for (const char *c = page; *c; c++) {
            columns = *c == '\n' ? 0 : columns + ((*c & 0xc0) != 0x80);
            assert_true(columns <= width);
        }
        if (width > 60) has(page, "worker 1   render denoise    9/16  größe and 2 more");
        free(page);
    }
    free(line);
    snapshot_clear(&s);
    close_pages(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_cell_is_computed),
        cmocka_unit_test(test_the_list_has_every_row),
        cmocka_unit_test(test_a_list_is_read_as_it_was),
        cmocka_unit_test(test_a_columns_name_is_not_computed),
        cmocka_unit_test(test_the_report_escapes_and_explains),
        cmocka_unit_test(test_the_timeline_shows_what_workers_did),
        cmocka_unit_test(test_the_timeline_shows_what_is_decoded_beside_the_next_lease),
        cmocka_unit_test(test_a_damaged_clip_is_made_again),
        cmocka_unit_test(test_what_left_delivery_comes_back),
        cmocka_unit_test(test_the_other_copy_is_good_enough),
        cmocka_unit_test(test_equal_clips_stay_one_file),
        cmocka_unit_test(test_the_form_of_a_file_tells_whether_it_is_whole),
        cmocka_unit_test(test_progress_fits_its_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
