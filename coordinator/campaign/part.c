#include "part.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/file.h"
#include "common/shell.h"

Status part_parse(const char *text, Part *out)
{
    int used = 0;
    if (sscanf(text, "%4d/%4d%n", &out->number, &out->count, &used) == 2 && !text[used] && out->number >= 1 &&
        out->number <= out->count && out->count <= PARTS_MAX)
        return status_ok();
    return status_fail(ERR_INPUT, "--part %.40s: expected I/N with 1 <= I <= N <= %d, as in 2/4", text, PARTS_MAX);
}

char *part_folder(const char *folder, Part p) { return text_format("%s/parts/%d-of-%d", folder, p.number, p.count); }

Status part_count(const char *folder, int *count)
{
    char *parts = path_join(folder, "parts");
    DIR *dir = opendir(parts);
    Status status = status_ok();
    *count = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        int number = 0, of = 0, used = 0;
        if (sscanf(e->d_name, "%4d-of-%4d%n", &number, &of, &used) != 2 || e->d_name[used]) continue;
        if (*count && of != *count)
            status =
                status_fail(ERR_INPUT, "%s: there are parts of %d and of %d; expected one division", parts, *count, of);
        *count = of;
    }
    if (dir) closedir(dir);
    free(parts);
    return status;
}

/* DIR/parts/I-of-N/clips -> ../../clips */
static Status link_shared(const char *part, const char *name)
{
    char *link = path_join(part, name), *to = text_format("../../%s", name);
    Status status =
        symlink(to, link) == 0 || errno == EEXIST ? status_ok() : status_errno(ERR_INPUT, "cannot make %s", link);
    free(link);
    free(to);
    return status;
}

static Status link_folder(const char *folder, const char *part, const char *name)
{
    char *shared = path_join(folder, name);
    Status status = file_make_folders(shared);
    free(shared);
    return failed(status) ? status : link_shared(part, name);
}

/* free() it */
static char *command_of(const char *folder, const char *verb)
{
    char *where = shell_word(folder), *text = text_format("reelwright %s %s", verb, where);
    free(where);
    return text;
}

static Status check_whole(const char *folder)
{
    char *whole = path_join(folder, "ledger.db");
    bool there = file_exists(whole);
    free(whole);
    if (!there) return status_ok();
    return status_fail(ERR_INPUT, "%s: holds the campaign undivided; expected a run without parts, or another --out",
                       folder);
}

Status part_check(const char *folder, int parts)
{
    int count = 0;
    if (parts > 1) TRY(check_whole(folder));
    TRY(part_count(folder, &count));
    if (count == 0 || count == parts) return status_ok();
    char *merge = command_of(folder, "merge");
    Status status =
        parts > 1
            ? status_fail(ERR_INPUT, "%s: its campaign is divided into %d parts, expected --part I/%d (or --parts %d)",
                          folder, count, count, count)
            : status_fail(ERR_INPUT,
                          "%s: its campaign is divided into %d parts; expected --part I/%d, or `%s`, which makes one "
                          "campaign of them",
                          folder, count, count, merge);
    free(merge);
    return status;
}

Status part_open(const char *folder, Part p)
{
    static const char *const shared[] = {"clips", "latents", "logs"}, *const secret[] = {"watermark.key"};
    char *part = part_folder(folder, p);
    Status status = part_check(folder, p.count);
    if (!failed(status)) status = file_make_folders(part);
    for (size_t i = 0; i < sizeof shared / sizeof *shared && !failed(status); i++)
        status = link_folder(folder, part, shared[i]);
    for (size_t i = 0; i < sizeof secret / sizeof *secret && !failed(status); i++)
        status = link_shared(part, secret[i]);
    free(part);
    return status;
}
