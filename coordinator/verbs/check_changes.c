#include "check_changes.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/shell.h"

enum { SHOWN = 20 };

Status check_changes_find(const char *folder, const Campaign *c, Changes *out, bool *there)
{
    Ledger *l = NULL;
    char *file = path_join(folder, "ledger.db");
    *out = (Changes){0};
    *there = file_exists(file);
    free(file);
    if (!*there) {
        out->number = memory_get((size_t)c->clip_count, sizeof *out->number);
        for (int64_t i = 0; i < c->clip_count; i++) out->number[i] = -1;
        out->added_count = c->clip_count;
        return status_ok();
    }
    TRY(ledger_open_shown(folder, &l));
    Status status = changes_find(l, c, out);
    ledger_close(&l);
    return status;
}

/* Line by line: each holds text of others. */
static void print_lines(const char *text, FILE *to)
{
    char *copy = text_copy(text), *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (*line) foreign_print(to, "%s\n", line);
    free(copy);
}

void check_changes_print(const Changes *x, const Campaign *c, const char *folder, bool there, FILE *to)
{
    if (!there) {
        foreign_print(to, "\n%s: holds no campaign yet; all of it is new\n", folder);
        return;
    }
    char *summary = changes_summary(x), *lines = changes_lines(x, c, SHOWN), *file = shell_word(c->file),
         *out = shell_word(folder);
    foreign_print(to, "\n%s: %s\n", folder, summary);
    print_lines(lines, to);
    if (changes_make_clips(x))
        foreign_print(to, "reelwright run %s --out %s --update    takes it\n", file, out);
    else if (x->changed_count)
        foreign_print(to, "reelwright run %s --out %s    takes it into the list\n", file, out);
    free(summary);
    free(lines);
    free(file);
    free(out);
}

static json_t *row_json(const Campaign *c, int64_t row)
{
    return json_pack("{s:s, s:i}", "id", c->clip[row].clip_id, "line", c->customers.line[row]);
}

void check_changes_set(const Changes *x, const Campaign *c, json_t *object)
{
    json_t *added = json_array(), *changed = json_array(), *removed = json_array();
    for (int64_t row = 0; row < c->clip_count; row++)
        if (x->number[row] < 0) json_array_append_new(added, row_json(c, row));
    for (int64_t i = 0; i < x->changed_count; i++) {
        const ChangedRow *r = &x->changed[i];
        json_t *item = row_json(c, r->row);
        json_object_set_new(item, "fields", json_loads(r->fields, 0, NULL));
        json_object_set_new(item, "follows", json_string(changes_follows_name(r->follows)));
        json_array_append_new(changed, item);
    }
    for (int64_t i = 0; i < x->removed_count; i++)
        json_array_append_new(removed, json_pack("{s:s}", "id", x->removed[i].id));
    json_object_set_new(object, "added", added);
    json_object_set_new(object, "changed", changed);
    json_object_set_new(object, "removed", removed);
}
