#include "coordinator/deliver/reach.h"

#include <stdlib.h>

#include "common/file.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/deliver/erase.h"
#include "coordinator/deliver/withdraw.h"
#include "coordinator/ledger/lock.h"

static Status withdraw(const char *folder, int64_t *clips)
{
    int lock = -1;
    TRY(lock_take(folder, false, &lock));
    Status status = withdraw_revoked(folder, 0, clips);
    if (!failed(status) && *clips) status = conclude_withdrawal(folder);
    lock_release(&lock);
    return status;
}

static Status reach(const char *folder, const char *cameo, const char *by, int64_t *clips)
{
    EraseResult erased;
    if (!cameo) return withdraw(folder, clips);
    Status status = erase_shown(folder, by, cameo, &erased);
    *clips = erased.rows;
    return status;
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
            Status one = lock_is_held(folder[i]) ? status_ok() : reach(folder[i], cameo, by, &f.clips);
            f.how = failed(one)               ? REACH_FAILED
                    : lock_is_held(folder[i]) ? REACH_RUNS
                    : f.clips                 ? REACH_DONE
                                              : REACH_NOTHING;
            if (failed(one)) f.why = one.message;
        }
        if (!failed(status)) sink.folder(sink.self, &f);
        free(folder[i]);
    }
    free(folder);
    return status;
}
