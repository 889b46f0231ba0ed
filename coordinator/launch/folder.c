#include "folder.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/part.h"
#include "coordinator/ledger/ledger.h"

/* What is there before the first run: of submit, of Slurm, of an attempt that came to nothing. */
static bool is_harmless(const char *name)
{
    static const char *const known[] = {".*",   "lost+found", "run.lock",    "run.log",     "*.sbatch", "*.log",
                                        "logs", "ledger.db",  "ledger.db.*", "ledger.db-*", "plan.json"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (fnmatch(known[i], name, 0) == 0) return true;
    return false;
}

/* A folder with parts of a campaign is a campaign's. */
static Status check_empty(const char *folder)
{
    int parts = 0;
    TRY(part_count(folder, &parts));
    if (parts > 0) return status_ok();
    DIR *dir = opendir(folder);
    Status status = status_ok();
    for (struct dirent *e; dir && !failed(status) && (e = readdir(dir));)
        if (!is_harmless(e->d_name))
            status =
                status_fail(ERR_INPUT,
                            "%s: holds other files (%.60s) and no campaign; expected a new or empty folder, or one "
                            "that `reelwright run` made",
                            folder, e->d_name);
    if (dir) closedir(dir);
    return status;
}

/* A ledger of another campaign must be recognised before anything is written, so it is opened for reading. One without a byte in an
 * otherwise empty folder is what a version before this one left when it was killed at its start; beside a campaign's files it was cut. */
Status folder_check_ledger(const char *folder, const Campaign *c, bool update)
{
    Ledger *l = NULL;
    int64_t bytes = 0;
    char *file = path_join(folder, "ledger.db");
    const bool there = file_exists(file);
    Status status = there ? file_size(file, &bytes) : status_ok();
    free(file);
    if (failed(status) || !there) return status;
    if (bytes == 0 && failed(check_empty(folder))) return ledger_cut(folder);
    if (bytes == 0) return status_ok();
    status = ledger_open(folder, LEDGER_READ, &l);
    if (!failed(status)) status = ledger_check_campaign(l, c, update);
    ledger_close(&l);
    return status;
}

Status folder_check(const char *folder, const Campaign *c, int parts, bool update)
{
    if (!file_exists(folder)) return status_ok();
    if (!file_is_folder(folder)) return status_fail(ERR_INPUT, "%s: expected a folder", folder);
    TRY(part_check(folder, parts));
    char *file = path_join(folder, "ledger.db");
    bool there = file_exists(file);
    free(file);
    return there ? folder_check_ledger(folder, c, update) : check_empty(folder);
}
