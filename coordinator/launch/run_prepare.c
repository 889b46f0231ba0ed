/* run_prepare.c - what `run` does before anything starts. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/host.h"
#include "common/moment.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/launch/run_inside.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/ledger/steer.h"

enum { LEAST_FREE_BYTES = 16 << 20 };

/* A ledger of another campaign must be recognised before anything is written, so it is opened for reading first. */
static Status check_folder(const char *folder)
{
    int parts;
    TRY(part_count(folder, &parts));
    if (parts > 0)
        return status_fail(ERR_INPUT,
                           "%s: its campaign is divided into %d parts; expected --part I/%d, or `reelwright merge`",
                           folder, parts, parts);
    char *ledger = path_join(folder, "ledger.db");
    Status status = status_ok();
    if (file_exists(folder) && !file_is_folder(folder))
        status = status_fail(ERR_INPUT, "%s: expected a folder", folder);
    else if (file_exists(ledger)) {
        Ledger *l = NULL;
        status = ledger_open(folder, LEDGER_READ, &l);
        ledger_close(&l);
    }
    free(ledger);
    return status;
}

static Status open_part(const RunOptions *o, Campaign *c)
{
    if (c->settings.pilot > 0)
        return status_fail(ERR_INPUT,
                           "%s: pilot: %d: expected none with --part; a pilot is one run's, of the whole campaign",
                           c->file, c->settings.pilot);
    c->part = o->part;
    return part_open(o->whole, o->part);
}

Status run_prepare(const RunOptions *o, const char *campaign, const char *folder)
{
    Campaign *c = NULL;
    Ledger *l = NULL;
    Status status = status_ok();
    TRY_OUT(campaign_load(campaign, &c));
    campaign_tell_warnings(c);
    if (o->max_fails && !max_fails_parse(o->max_fails, &c->settings.max_fails))
        TRY_OUT(status_fail(ERR_INPUT, "--max-fails %.40s: expected a number of clips, 20, or a share of them, 5%%",
                            o->max_fails));
    if (o->whole) TRY_OUT(open_part(o, c));
    TRY_OUT(check_folder(folder));
    TRY_OUT(file_make_folders(folder));
    TRY_OUT(file_check_space(folder, LEAST_FREE_BYTES));
    TRY_OUT(ledger_open(folder, LEDGER_WRITE, &l));
    TRY_OUT(ledger_adopt(l, c, moment_wall_s()));
out:
    ledger_close(&l);
    campaign_free(&c);
    if (status.err == ERR_FATAL || status.err == ERR_NODE) status.err = ERR_INPUT;
    return status;
}

Status run_take_requests(const char *folder, int64_t launch)
{
    Ledger *l = NULL;
    LedgerRequest r = {0};
    int64_t changed = 0;
    char host[HOST_BYTES] = "";
    Status status = status_ok();
    host_name(host);
    TRY_OUT(ledger_open(folder, LEDGER_WRITE, &l));
    ledger_join_launch(l, launch);
    TRY_OUT(ledger_next_request(l, &r));
    if (r.id == 0) goto out;
    TRY_OUT(ledger_begin_epoch(l, host, (int)getpid(), moment_wall_s()));
    TRY_OUT(ledger_begin(l, moment_wall_s()));
    while (r.id) {
        TRY_OUT(ledger_apply_request(l, &r, &changed));
        ledger_request_clear(&r);
        TRY_OUT(ledger_next_request(l, &r));
    }
    TRY_OUT(ledger_commit(l));
    TRY_OUT(ledger_end_epoch(l, "requests", moment_wall_s()));
out:
    ledger_request_clear(&r);
    ledger_close(&l);
    return status;
}

Status run_conclude(const char *folder, const Claim *claim, Status so_far, bool quiet)
{
    char *why = text_copy(so_far.message);
    Status status = claim_check(folder, claim);
    if (!failed(status))
        status = conclude(folder, claim->launch, status_fail(so_far.err, "%s", why), quiet);
    else if (failed(so_far))
        status = status_fail(so_far.err, "%s", why);
    free(why);
    return status;
}

Status run_start_notify(const char *folder, Notify **out)
{
    Ledger *l = NULL;
    Settings settings = {0};
    *out = NULL;
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = ledger_read_settings(l, &settings);
    ledger_close(&l);
    if (!failed(status)) status = notify_start(folder, &settings.notify, out);
    settings_clear(&settings);
    return status;
}

int run_count_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 1;
}
