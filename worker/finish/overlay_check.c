/* overlay_check.c - what is wrong with a list of overlays, before anything is drawn. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json_member.h"
#include "worker/finish/letters.h"
#include "worker/finish/logo.h"
#include "worker/finish/overlay_place.h"

typedef struct {
    OverlayFault *found;
    void *self;
    size_t index;
} Finder;

static void find(const Finder *f, const char *member, const char *message)
{
    char *field = text_format("overlays[%zu]%s%s", f->index, *member ? "." : "", member);
    f->found(f->self, field, message);
    free(field);
}

static void check_text(const json_t *o, const Finder *f)
{
    const char *font = member_text(json_object_get(o, "style"), "font", "Noto Sans");
    uint32_t missing = letters_missing(member_text(o, "text", ""));
    if (missing) {
        char *message = text_format(
            "no font of this machine has U+%04X: install one that has (Debian: apt-get install fonts-noto)", missing);
        find(f, "text", message);
        free(message);
    }
    if (!letters_has_family(font)) {
        char *message = text_format("no font \"%s\" on this machine; `fc-list : family` lists what there is", font);
        find(f, "style.font", message);
        free(message);
    }
    if (strlen(member_text(o, "text", "")) > LETTERS_MAX_BYTES) find(f, "text", "longer than 4,096 bytes");
}

static void check_pair(const json_t *list, size_t i, double duration_s, const Finder *f)
{
    const json_t *a = json_array_get(list, i);
    for (size_t k = 0; k < i; k++) {
        const json_t *b = json_array_get(list, k);
        bool together = member_number(a, "from", 0) < overlay_end_of(b, duration_s) &&
                        member_number(b, "from", 0) < overlay_end_of(a, duration_s);
        if (!together || overlay_place_of(a) != overlay_place_of(b)) continue;
        char *message = text_format("the same place as overlays[%zu] at the same time; give one of them another place, "
                                    "or times that do not meet",
                                    k);
        find(f, "place", message);
        free(message);
    }
}

void overlay_check_times(const json_t *list, double duration_s, OverlayFault *found, void *self)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const Finder f = {found, self, i};
        char *message;
        if (overlay_begins_late(json_array_get(list, i), duration_s, &message)) {
            find(&f, "from", message);
            free(message);
        }
        check_pair(list, i, duration_s, &f);
    }
}

void overlay_check(const json_t *list, double duration_s, OverlayFault *found, void *self)
{
    overlay_check_times(list, duration_s, found, self);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        Finder f = {found, self, i};
        if (json_object_get(o, "text")) check_text(o, &f);
        if (json_object_get(o, "image")) {
            Status status = logo_check(member_text(o, "image", ""));
            if (failed(status)) find(&f, "image", status.message);
        }
    }
}
