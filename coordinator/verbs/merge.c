/* merge.c - `merge`: the parts of a campaign become the campaign.
 *
 * When every part is complete, DIR is what a run of the whole campaign would have left, and DIR/parts is gone. One merge works at a time
 * (the folder's lock). The ledger is made in a folder of this process's own and renamed; its rows are counted against the parts'; the
 * clips are delivered; then DIR/parts is renamed to DIR/parts.merged in one step, and that is removed. A merge that is killed anywhere
 * in this is run again. Before the parts are complete it shows how far they are: the list has a line for each row all
 * the same. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/plural.h"
#include "common/provoke.h"
#include "common/shell.h"
#include "coordinator/campaign/part.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/deliver/list.h"
#include "coordinator/deliver/report.h"
#include "coordinator/deliver/requests.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/ledger/merge.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/ledger/view.h"
#include "coordinator/verbs/verbs.h"
#include "coordinator/watch/audit.h"
#include "coordinator/watch/events.h"
#include "coordinator/watch/progress.h"

typedef struct {
    const char *folder;
    int count;
    char *part[PARTS_MAX];
    int lock[PARTS_MAX]; /* of those that do not run: nobody starts them meanwhile */
    int whole_lock;      /* of the folder itself */
    int open;            /* parts that are not complete, or still run */
    int64_t left;        /* clips of them */
    char *draft;         /* the folder that the ledger is made in */
} Merge;

/* ---- what there is ---- */

static Status look_at_part(Merge *m, int i)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    Status status = status_ok();
    TRY_OUT(ledger_open_whole(m->part[i], &l));
    TRY_OUT(ledger_read_snapshot(l, &s));
    bool runs = failed(lock_take(m->part[i], false, &m->lock[i]));
    char *line = progress_line(&s, moment_wall_s());
    foreign_print(stdout, "part %d of %d: %s%s\n", i + 1, m->count, line, runs ? " (it runs)" : "");
    free(line);
    m->open += s.left > 0 || runs;
    m->left += s.left;
out:
    ledger_close(&l);
    snapshot_clear(&s);
    return status;
}

static Status find_parts(Merge *m)
{
    if (m->count == 0 || m->count > PARTS_MAX)
        return status_fail(ERR_INPUT, "%s: no parts there; expected the --out of `reelwright run --part`", m->folder);
    for (int i = 0; i < m->count; i++) {
        m->part[i] = part_folder(m->folder, (Part){i + 1, m->count});
        char *ledger = path_join(m->part[i], "ledger.db");
        bool there = file_exists(ledger);
        free(ledger);
        if (!there)
            return status_fail(ERR_INPUT,
                               "%s: part %d of %d was never run; `reelwright run CAMPAIGN.yaml --out %s "
                               "--part %d/%d` does it",
                               m->folder, i + 1, m->count, m->folder, i + 1, m->count);
    }
    for (int i = 0; i < m->count; i++) TRY(look_at_part(m, i));
    return status_ok();
}

/* ---- making it ---- */

/* Links are removed, not followed: the clips stay. */
static Status remove_tree(const char *path)
{
    file_remove_tree(path);
    if (!file_exists(path)) return status_ok();
    return status_fail(
        ERR_FATAL, "%s: not all of it can be removed; nothing there is needed any more: remove it, then merge again",
        path);
}

/* Takes up the decisions about the clips of a part that does not run, so that its ledger and its chain hold them before the merge. */
static Status settle_part(Merge *m, int i) { return m->lock[i] >= 0 ? requests_take(m->part[i], 0) : status_ok(); }

static Status make_ledger(Merge *m)
{
    char *name = path_join(m->folder, "parts/merged");
    m->draft = file_draft(name);
    free(name);
    TRY(file_make_folders(m->draft));
    for (int i = 0; i < m->count; i++) TRY(settle_part(m, i));
    TRY(ledger_merge(m->draft, m->part, m->count));
    ledger_settle(m->draft); /* all of it is in the one file now */
    return status_ok();
}

/* DIR/parts/2-of-4/audit.jsonl -> DIR/audit.2-of-4.jsonl, with its head. Copies: a merge that is killed begins anew. */
static Status keep_chain(const Merge *m, int i)
{
    static const char *const ending[] = {"", ".head"};
    Status status = status_ok();
    for (size_t k = 0; k < sizeof ending / sizeof *ending && !failed(status); k++) {
        char *from = text_format("%s/audit.jsonl%s", m->part[i], ending[k]);
        char *to = text_format("%s/audit.%d-of-%d.jsonl%s", m->folder, i + 1, m->count, ending[k]);
        if (file_exists(from)) {
            unlink(to);
            status = file_duplicate(from, to);
        }
        free(from);
        free(to);
    }
    return status;
}

static Status nothing(Ledger *l, void *self)
{
    (void)l, (void)self;
    return status_ok();
}

/* The chains of the parts are noted in the whole's; the sample of the whole is another one than those of the parts. */
static Status take_chains(const Merge *m)
{
    Ledger *l = NULL;
    Audit *a = NULL;
    Status status = status_ok();
    for (int i = 0; i < m->count && !failed(status); i++) status = keep_chain(m, i);
    if (!failed(status)) status = ledger_amend_folder(m->folder, 0, "merged", nothing, NULL);
    if (!failed(status)) status = ledger_open(m->folder, LEDGER_READ, &l);
    if (!failed(status)) status = audit_open(m->folder, &a);
    for (int i = 0; i < m->count && !failed(status); i++) {
        char *part = text_format("%d-of-%d", i + 1, m->count);
        status = audit_take_part(a, l, part, moment_wall_s());
        free(part);
    }
    audit_close(&a);
    ledger_close(&l);
    return status;
}

/* DIR/parts/2-of-4/events.jsonl -> DIR/events.2-of-4.jsonl */
static void keep_file(const Merge *m, int i, const char *stem, const char *ending)
{
    char *from = text_format("%s/%s.%s", m->part[i], stem, ending);
    char *to = text_format("%s/%s.%d-of-%d.%s", m->folder, stem, i + 1, m->count, ending);
    if (file_exists(from) && rename(from, to) != 0) log_line(LOG_WARNING, "%s was not kept", from);
    free(from);
    free(to);
}

/* DIR/parts/2-of-4/masters/KEY.mkv -> DIR/masters/KEY.mkv: names are unique in the whole campaign. */
static Status move_files(const Merge *m, int i, const char *name)
{
    char *from = path_join(m->part[i], name), *to = path_join(m->folder, name);
    DIR *dir = opendir(from);
    Status status = dir ? file_make_folders(to) : status_ok();
    for (struct dirent *e; dir && !failed(status) && (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        char *old = path_join(from, e->d_name), *new = path_join(to, e->d_name);
        if (rename(old, new) != 0) status = status_errno(ERR_FATAL, "cannot move %s to %s", old, new);
        free(old);
        free(new);
    }
    if (dir) closedir(dir);
    free(from);
    free(to);
    return status;
}

/* What a merge that was killed while it removed them has left; nothing of it is needed. */
static Status remove_rest(const Merge *m)
{
    char *rest = path_join(m->folder, "parts.merged");
    Status status = remove_tree(rest);
    free(rest);
    return status;
}

static Status remove_parts(const Merge *m)
{
    char *parts = path_join(m->folder, "parts"), *rest = path_join(m->folder, "parts.merged");
    Status status = remove_tree(rest);
    for (int i = 0; i < m->count; i++) {
        keep_file(m, i, "events", "jsonl");
        keep_file(m, i, "run", "log");
        if (!failed(status)) status = move_files(m, i, "masters");
        if (!failed(status)) status = move_files(m, i, "voices");
    }
    if (!failed(status)) status = provoke_at("before", "parts", 0);
    if (!failed(status) && rename(parts, rest) != 0) status = status_errno(ERR_FATAL, "cannot rename %s", parts);
    if (!failed(status)) status = provoke_at("after", "parts", 0);
    free(parts);
    free(rest);
    return failed(status) ? status : remove_rest(m);
}

static Status publish_ledger(Merge *m, const char *whole)
{
    TRY(make_ledger(m));
    char *made = path_join(m->draft, "ledger.db");
    Status status = file_publish(made, whole);
    free(made);
    return status;
}

static Status finish(Merge *m)
{
    char *whole = path_join(m->folder, "ledger.db");
    Status status =
        file_exists(whole) ? status_ok() /* an earlier merge came as far as this */ : publish_ledger(m, whole);
    free(whole);
    TRY(status);
    TRY(ledger_check_merged(m->folder, m->part, m->count));
    TRY(take_chains(m));
    status = conclude(m->folder, 0, status_ok(), false);
    if (status.err != OK && status.err != ERR_CLIP) return status;
    char *why = text_copy(status.message);
    Status removed = remove_parts(m);
    if (!failed(removed) && failed(status)) status = status_fail(status.err, "%s", why);
    free(why);
    return failed(removed) ? removed : status;
}

/* This ledger is only for the list and the report; the next merge makes it again. */
static Status show(Merge *m)
{
    Ledger *l = NULL;
    char *list = path_join(m->folder, "delivery.csv");
    Status status = make_ledger(m);
    if (!failed(status)) status = ledger_open(m->draft, LEDGER_READ, &l);
    if (!failed(status)) status = deliver_write_list(l, list);
    if (!failed(status)) status = report_write(l, m->folder);
    ledger_close(&l);
    if (!failed(status))
        status = status_fail(ERR_CLIP,
                             "%d of %d parts not complete, %lld clip%s missing; %s and %s/report/index.html show "
                             "what is there; merge again when they are",
                             m->open, m->count, (long long)m->left, plural_s(m->left), list, m->folder);
    free(list);
    return status;
}

/* No parts any more, but a ledger of the whole: a merge did all of it, or was killed as it removed them. */
static Status merged_before(const Merge *m, bool *yes)
{
    char *whole = path_join(m->folder, "ledger.db"), *rest = path_join(m->folder, "parts.merged");
    Status status = status_ok();
    *yes = m->count == 0 && file_exists(whole) && file_exists(rest);
    if (*yes) status = remove_rest(m);
    if (*yes && !failed(status)) status = conclude(m->folder, 0, status_ok(), false);
    free(whole);
    free(rest);
    return status;
}

/* Nothing is written into a folder that has no parts and is not left over from a merge either. */
static Status check_merged_once(const Merge *m)
{
    char *whole = path_join(m->folder, "ledger.db"), *rest = path_join(m->folder, "parts.merged");
    bool one = file_exists(whole), left_over = one && file_exists(rest);
    free(whole);
    free(rest);
    if (left_over) return status_ok();
    if (one)
        return shell_advise(ERR_INPUT, "no parts there, it is one campaign already; `%s` shows it", "status",
                            m->folder);
    return status_fail(ERR_INPUT, "%s: no parts there; expected the --out of `reelwright run --part`", m->folder);
}

static Status merge(Merge *m)
{
    bool done = false;
    if (!file_is_folder(m->folder))
        return status_fail(ERR_INPUT, "%s: no such folder; expected a campaign folder", m->folder);
    TRY(part_count(m->folder, &m->count));
    if (m->count == 0) TRY(check_merged_once(m));
    TRY(lock_take(m->folder, false, &m->whole_lock));
    TRY(part_count(m->folder, &m->count)); /* the one that had the lock may have removed them */
    TRY(merged_before(m, &done));
    if (done) return status_ok();
    TRY(find_parts(m));
    Status status = m->open > 0 ? show(m) : finish(m);
    if (!m->draft) return status;
    char *why = text_copy(status.message);
    Status removed = remove_tree(m->draft);
    status = failed(status) ? status_fail(status.err, "%s", why) : removed;
    free(why);
    return status;
}

Status verb_merge(int argc, char **argv)
{
    const Usage usage = {
        .verb = "merge",
        .arguments = "DIR",
        .about =
            "Makes one campaign of the parts that `run --part I/N` rendered in DIR: one ledger, one delivery list,\n"
            "one report, the clips delivered. While parts are not complete it writes the list and a report of what\n"
            "is there, and ends with 1.",
        .min_arguments = 1,
        .max_arguments = 1};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    Merge *m = memory_get(1, sizeof *m);
    m->folder = argv[first];
    for (int i = 0; i < PARTS_MAX; i++) m->lock[i] = -1;
    m->whole_lock = -1;
    Status status = merge(m);
    lock_release(&m->whole_lock);
    for (int i = 0; i < m->count; i++) {
        lock_release(&m->lock[i]);
        free(m->part[i]);
    }
    free(m->draft);
    free(m);
    return status;
}
