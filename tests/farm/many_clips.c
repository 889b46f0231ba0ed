/* many_clips.c - a campaign's folder with so many finished clips that wait for a reviewer, each with its own small files: many_clips FOLDER COUNT VIDEO PICTURE */
#include "common/moment.h"
#include "tests/unit/farm_fixture.h"

static void put_file(const char *folder, const char *name, const char *from)
{
    char *path = path_join(folder, name), *inside = path_folder(path);
    assert_good(file_make_folders(inside));
    if (link(from, path) != 0) assert_good(file_duplicate(from, path));
    free(inside);
    free(path);
}

static void finish(Ledger *l, const char *folder, int64_t clip, const char *video, const char *picture)
{
    Lease lease;
    bool gone;
    int64_t shot;
    assert_good(ledger_give_finish(l, clip, "host:7", &lease, &shot));
    LeaseResult r = fixture_finish_result(&lease);
    free(r.clip.thumbnail);
    free(r.clip.document);
    r.clip.thumbnail = text_format("clips/%s.png", lease.stem);
    r.clip.document =
        text_format("{\"held_by\":[%s],\"gates\":{\"gates\":{\"flicker\":{\"value\":%d.5,\"threshold\":4,\"verdict\":"
                    "\"%s\",\"at\":[0.5]},\"blur\":{\"value\":0.1,\"threshold\":1,\"verdict\":\"pass\",\"at\":[]}}}}",
                    clip % 100 == 7 ? "\"flicker\"" : "", (int)(clip % 9), clip % 100 == 7 ? "hold" : "pass");
    put_file(folder, r.clip.file, video);
    put_file(folder, r.clip.thumbnail, picture);
    assert_good(ledger_take_result(l, &r, &gone));
    lease_result_clear(&r);
    lease_clear(&lease);
}

int main(int argc, char **argv)
{
    Ledger *l;
    if (argc != 5) return 2;
    const int count = atoi(argv[2]);
    Campaign *c = fixture_campaign("many", count, count / 100 + 1);
    c->settings.review = (ReviewSettings){.policy = REVIEW_ALL, .lq = 5};
    assert_good(file_make_folders(argv[1]));
    assert_good(ledger_open(argv[1], LEDGER_WRITE, &l));
    assert_good(ledger_adopt(l, c, moment_wall_s()));
    assert_good(ledger_begin_epoch(l, "host", 1, moment_wall_s()));
    assert_good(ledger_begin(l, moment_wall_s()));
    for (int64_t i = 0; i < c->shot_count; i++) fixture_render(l, i, "host:7");
    for (int i = 0; i < count; i++) finish(l, argv[1], i, argv[3], argv[4]);
    assert_good(ledger_commit(l));
    assert_good(ledger_end_epoch(l, "done", moment_wall_s()));
    ledger_close(&l);
    ledger_settle(argv[1]);
    fixture_campaign_free(c);
    return 0;
}
