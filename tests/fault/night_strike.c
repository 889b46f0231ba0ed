/* night_strike.c - what can go wrong in a night, one function each. */
#include "night.h"

#include "common/provoke.h"

const char *night_fate_name(Fate f)
{
    static const char *const name[] = {
        "nothing", "dies", "hangs", "fails", "fails for its machine's sake", "finds the disk full", "is done too fast"};
    return name[f];
}

void night_calm(void) { provoke_order(NULL); }

static Sim *some_worker(Night *n) { return n->sims ? &n->sim[1 + night_roll(n, n->sims)] : NULL; }

void night_doom(Night *n, Sim *s)
{
    s->fate = (Fate)(1 + night_roll(n, FATES - 1));
    s->fate_at = (Point)night_roll(n, POINTS);
}

static void doom_a_worker(Night *n)
{
    Sim *s = some_worker(n);
    if (s) night_doom(n, s);
}

/* A worker that fails all that it gets is a row of failures on one: three strikes in one. */
static void doom_many(Night *n)
{
    for (int i = 1; i <= n->sims; i++)
        if (night_roll(n, 2)) night_doom(n, &n->sim[i]);
}

static void kill_the_job(Night *n)
{
    night_tell(n, "the whole job dies");
    night_end_job(n, night_roll(n, 2) == 0);
}

/* At the next commit with such a change, before it is durable or after, before anybody is told. */
static void kill_the_coordinator(Night *n)
{
    static const char *const change[] = {"lease",   "lease", "mastered", "done",  "done",    "last", "lost",
                                         "give up", "retry", "epoch",    "close", "request", "plan", "unmaster"};
    char orders[96];
    snprintf(orders, sizeof orders, "at=%s.%s,do=fail.fatal", night_roll(n, 2) ? "before" : "after",
             change[night_roll(n, sizeof change / sizeof *change)]);
    night_tell(n, "the coordinator is to die: %s", orders);
    NIGHT_GOOD(n, provoke_order(orders));
}

/* Another coordinator takes the folder; the old one works on and must be refused. */
static void fence_the_coordinator(Night *n)
{
    Ledger *other;
    if (!n->ledger) return;
    night_calm();
    night_tell(n, "another coordinator takes the ledger");
    NIGHT_GOOD(n, ledger_open(n->folder, LEDGER_WRITE, &other));
    NIGHT_GOOD(n, ledger_begin_epoch(other, "elsewhere", 2, 1e9 + (double)n->now_ms / 1000));
    ledger_close(&other);
}

static void stop_the_job(Night *n)
{
    night_tell(n, "the job is told to stop");
    if (n->dispatch) dispatch_stop(n->dispatch);
}

static void pause_the_campaign(Night *n)
{
    if (n->resume_ms) return;
    night_tell(n, "the campaign is paused");
    night_request(n, "pause");
    n->resume_ms = n->now_ms + 500 + night_roll(n, 4000);
}

static void retry_the_failed(Night *n)
{
    night_tell(n, "the failed clips are asked for again");
    night_request(n, "retry");
}

static void change_file(const char *path, int how, int at)
{
    char *bytes;
    size_t count;
    if (failed(file_read(path, 1 << 20, &bytes, &count))) return;
    if (how == 0) count = (size_t)at % count;
    if (how == 1) bytes[(size_t)at % count] ^= (char)(1 << at % 8);
    FILE *f = fopen(path, "wb");
    if (f) fwrite(bytes, 1, count, f), fclose(f);
    free(bytes);
}

/* As a checkpoint of another shot, or of a later version of the program: sound, but not this one's. */
static void change_owner(Night *n, const char *path, int64_t shot, bool version)
{
    Checkpoint c;
    if (failed(checkpoint_read(path, NULL, &c))) return;
    memcpy(c.owner.shot, n->campaign->shot[(shot + 1) % n->campaign->shot_count].key, HASH_TEXT);
    NIGHT_GOOD(n, checkpoint_write(path, &c));
    checkpoint_clear(&c);
    if (!version) return;
    char *bytes, *seal;
    size_t count;
    NIGHT_GOOD(n, file_read(path, 1 << 20, &bytes, &count));
    char mark[32];
    snprintf(mark, sizeof mark, " %04d sha256 ", CHECKPOINT_VERSION);
    seal = memmem(bytes, count, mark, strlen(mark));
    NIGHT_CHECK(n, seal, "%s: no seal", path);
    seal[4] = '7';
    NIGHT_GOOD(n, file_replace(path, bytes, count));
    free(bytes);
}

void night_damage(Night *n)
{
    int64_t shot = night_roll(n, (int)n->campaign->shot_count);
    char *path = night_checkpoint(n, shot);
    int how = night_roll(n, 5);
    if (n->saved[shot] > 0) {
        night_tell(n, "the checkpoint of shot %lld is damaged in way %d", (long long)shot, how);
        n->saved[shot] = 0;
        if (how == 4)
            unlink(path);
        else if (how >= 2)
            change_owner(n, path, shot, how == 3);
        else
            change_file(path, how, night_roll(n, 1 << 20));
    }
    free(path);
}

/* Of a shot that has one. It is made again, from the last checkpoint. */
void night_damage_master(Night *n)
{
    int64_t shot = night_roll(n, (int)n->campaign->shot_count);
    char *name = lease_master_name(n->campaign->shot[shot].key),
         *path = text_format("%s/%s/%s", n->folder, lease_masters, name);
    int how = night_roll(n, 3);
    if (file_exists(path)) {
        night_tell(n, "the master of shot %lld is damaged in way %d", (long long)shot, how);
        n->again[shot]++;
        if (how == 2)
            unlink(path);
        else
            change_file(path, how, night_roll(n, 1 << 20));
    }
    free(path);
    free(name);
}

void night_strike(Night *n)
{
    static void (*const strike[])(Night *) = {
        doom_a_worker,      doom_a_worker,        doom_a_worker,        doom_a_worker,         doom_many,
        kill_the_job,       kill_the_coordinator, kill_the_coordinator, fence_the_coordinator, stop_the_job,
        pause_the_campaign, retry_the_failed,     night_damage,         night_damage_master};
    strike[night_roll(n, sizeof strike / sizeof *strike)](n);
}
