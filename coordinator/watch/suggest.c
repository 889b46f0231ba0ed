#include "suggest.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/shell.h"

/* DIR/parts/2-of-4 -> DIR */
static char *whole_of(const Snapshot *s, const char *folder)
{
    char *part = part_folder("", s->part);
    size_t n = strlen(folder), end = strlen(part);
    while (n > 1 && folder[n - 1] == '/') n--;
    bool inside = s->part.count > 1 && n > end && strncmp(folder + n - end, part, end) == 0;
    char *whole = inside ? text_format("%.*s", (int)(n - end), folder) : text_copy(folder);
    free(part);
    return whole;
}

char *suggest_run(const Snapshot *s, const char *folder)
{
    char *whole = whole_of(s, folder), *file = shell_word(s->file ? s->file : "CAMPAIGN.yaml"),
         *out = shell_word(whole), *text = NULL;
    if (s->part.count > 1)
        text = text_format("reelwright run %s --out %s --part %d/%d", file, out, s->part.number, s->part.count);
    else
        text = text_format("reelwright run %s --out %s", file, out);
    free(whole);
    free(file);
    free(out);
    return text;
}

char *suggest_next(const Snapshot *s, const char *folder, double now_s)
{
    const char *waits_for = snapshot_waits_for(s), *before = NULL;
    char *command = NULL;
    if (s->left == 0) return NULL;
    if (strcmp(waits_for, "approval") == 0) {
        before = s->pilot == PILOT_REJECTED ? "the pilot was rejected" : "waits for the pilot's approval";
        command = shell_suggest("pilot approve", folder, NULL);
    } else if (*waits_for) {
        const bool whole = s->control != CONTROL_NONE;
        before = s->control == CONTROL_CANCELLED ? "cancelled" : "paused";
        command = shell_suggest(whole ? "resume" : "resume --where state=paused", folder, NULL);
    } else if (!snapshot_goes_on(s, now_s)) {
        before = "no run is going on";
        command = suggest_run(s, folder);
    }
    if (!command) return NULL;
    char *text = text_format("%s: `%s`", before, command);
    free(command);
    return text;
}
