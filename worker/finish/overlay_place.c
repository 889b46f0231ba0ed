#include "overlay_place.h"

#include <math.h>
#include <string.h>

#include "common/file.h"
#include "common/json_member.h"

static const struct {
    const char *name;
    int anchor;                      /* as on a number pad */
    double left, top, right, bottom; /* of the safe area */
} places[] = {{"top-left", 7, 0, 0, 0.6, 0.4},          {"top", 8, 0, 0, 1, 0.4},
              {"top-right", 9, 0.4, 0, 1, 0.4},         {"left", 4, 0, 0.3, 0.5, 0.7},
              {"centre", 5, 0, 0.25, 1, 0.75},          {"right", 6, 0.5, 0.3, 1, 0.7},
              {"bottom-left", 1, 0, 0.6, 0.6, 1},       {"bottom", 2, 0, 0.6, 1, 1},
              {"bottom-right", 3, 0.4, 0.6, 1, 1},      {"lower-third", 2, 0, 0.66, 1, 0.94},
              {"end-card", 8, 0, 0.56, 1, 0.95},          /* its text, and above it */
              {"end-card-picture", 2, 0, 0.05, 1, 0.53}}; /* its picture or code */
enum { PLACE_COUNT = (int)(sizeof places / sizeof *places) };

static int place_named(const char *name)
{
    for (int i = 0; i < PLACE_COUNT - 1; i++)
        if (strcmp(places[i].name, name) == 0) return i;
    return -1;
}

int overlay_place_of(const json_t *o)
{
    int place = place_named(member_text(o, "place", "lower-third"));
    bool is_card = place >= 0 && strcmp(places[place].name, "end-card") == 0;
    return is_card && !json_object_get(o, "text") ? PLACE_COUNT - 1 : place;
}

bool overlay_have_common(Box a, Box b)
{
    return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

Box overlay_room_of(const OverlayFrame *f, int place)
{
    Box s = f->safe,
        room = {s.x + (int)(s.width * places[place].left), s.y + (int)(s.height * places[place].top), 0, 0};
    room.width = s.x + (int)(s.width * places[place].right) - room.x;
    room.height = s.y + (int)(s.height * places[place].bottom) - room.y;
    if (f->label.width && overlay_have_common(room, f->label)) {
        int below = f->label.y + f->label.height + f->label.height / 4;
        room.height -= below > room.y ? below - room.y : 0;
        room.y = below > room.y ? below : room.y;
    }
    const int above = f->subtitles_y - f->safe.height / 100 - room.height;
    const bool stands_on_them = places[place].anchor <= 3 && room.y + room.height > f->subtitles_y;
    if (f->subtitles_y && stands_on_them && above >= s.y) room.y = above;
    return room;
}

Box overlay_box_at(Box room, int anchor, int width, int height)
{
    int column = (anchor - 1) % 3, row = 2 - (anchor - 1) / 3;
    return (Box){room.x + (room.width - width) * column / 2, room.y + (room.height - height) * row / 2, width, height};
}

int overlay_anchor(int place) { return places[place].anchor; }

/* ---- times ---- */

double overlay_end_of(const json_t *o, double duration_s)
{
    double to = member_number(o, "to", 0);
    return to > 0 && to < duration_s ? to : duration_s;
}

json_t *overlay_timed(const json_t *list, double duration_s)
{
    json_t *timed = json_is_array(list) ? json_deep_copy(list) : json_array(), *o;
    size_t i;
    json_array_foreach(timed, i, o)
    {
        const double from = member_number(o, "from", 0);
        if (from < 0) json_object_set_new(o, "from", json_real(fmax(0, duration_s + from)));
    }
    return timed;
}

bool overlay_begins_late(const json_t *o, double duration_s, char **message)
{
    const double from = member_number(o, "from", 0);
    if (from < duration_s || json_is_true(json_object_get(o, "subtitle"))) return false;
    *message =
        text_format("begins at %.3g s, after the clip's end at %.3g s; -2 is 2 s before the end", from, duration_s);
    return true;
}
