#include "coordinator/deliver/reach.h"

#include <stdlib.h>

#include "common/file.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/deliver/erase.h"
#include "coordinator/deliver/withdraw.h"
#include "coordinator/ledger/lock.h"

/* Also asks again what was refused before. Lists and report say so. */
static Status withdraw(const char *folder, ReachedFolder *f)
{
    int lock = -1;
    int64_t told = 0;
    TRY(lock_take(folder, false, &lock));
    Status status = withdraw_revoked(folder, 0, &f->clips);
    if (!failed(status)) status = conclude_withdrawal(folder, &told);
    f->how = f->clips ? REACH_DONE : told ? REACH_TOLD : REACH_NOTHING;
    if ((!failed(status) && f->how != REACH_NOTHING) || status.err == ERR_CLIP) {
        char *why = text_copy(status.message);
        Status pages = conclude_pages(folder);
        status = failed(pages) || !failed(status) ? pages : status_fail(ERR_CLIP, "%s", why);
        free(why);
    }
    if (f->how == REACH_TOLD) f->clips = told;
    lock_release(&lock);
    return status;
}

static Status reach(const char *folder, const char *cameo, const char *by, ReachedFolder *f)
{
    EraseResult erased = {0};
    if (cameo) TRY(erase_shown(folder, by, cameo, &erased));
    f->how = REACH_DONE;
    f->clips = erased.rows;
    return erased.rows ? status_ok() : withdraw(folder, f);
}

static bool has_campaign(const char *folder)
{
    char *ledger = path_join(folder, "ledger.db");
    bool yes = file_exists(ledger);
    free(ledger);
    return yes;
}

Status reach_folders(TrustStore *s, const char *cameo, const char *by, ReachSink sink)
{
    char **folder = NULL;
    int count = 0;
    Status status = trust_read_folders(s, &folder, &count);
    for (int i = 0; i < count; i++) {
        ReachedFolder f = {.folder = folder[i], .how = REACH_AWAY, .why = ""};
        if (!failed(status) && has_campaign(folder[i])) {
            Status one = lock_is_held(folder[i]) ? status_ok() : reach(folder[i], cameo, by, &f);
            if (failed(one))
                f.how = REACH_FAILED;
            else if (lock_is_held(folder[i]))
                f.how = REACH_RUNS;
            if (failed(one)) f.why = one.message;
        }
        if (!failed(status)) sink.folder(sink.self, &f);
        free(folder[i]);
    }
    free(folder);
    return status;
}
