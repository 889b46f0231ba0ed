/* consent_tell.c - a consent in words, English and German. */
#include <string.h>
#include <time.h>

#include "common/foreign.h"
#include "trust/consent.h"

static void tell_date(FILE *to, TrustLanguage language, int64_t s)
{
    char text[64];
    time_t t = (time_t)s;
    struct tm tm;
    if (!gmtime_r(&t, &tm)) return;
    strftime(text, sizeof text, language == TRUST_GERMAN ? "%d.%m.%Y, %H:%M Uhr UTC" : "%Y-%m-%d, %H:%M UTC", &tm);
    fputs(text, to);
}

/* A label and what stands behind it, in columns; German letters have two bytes. */
static void tell(FILE *to, const char *label, const char *text)
{
    const int gap = foreign_gap(label, 14);
    foreign_print(to, "  %s%*s%s", label, gap ? gap : 1, "", text);
}

/* The last day, where it ends with a day. */
static void tell_end(FILE *to, TrustLanguage language, int64_t until_s)
{
    enum { DAY_S = 24 * 3600 };
    char text[32];
    time_t t = (time_t)until_s - 1;
    struct tm tm;
    tell(to, language == TRUST_GERMAN ? "Gilt" : "Holds", "");
    if (until_s % DAY_S == 0 && gmtime_r(&t, &tm)) {
        strftime(text, sizeof text, language == TRUST_GERMAN ? "%d.%m.%Y" : "%Y-%m-%d", &tm);
        foreign_print(to, language == TRUST_GERMAN ? "bis einschließlich %s (UTC)\n" : "through %s (UTC)\n", text);
        return;
    }
    fputs(language == TRUST_GERMAN ? "vor " : "before ", to);
    tell_date(to, language, until_s);
    fputc('\n', to);
}

static void tell_list(FILE *to, const TrustWords *w, const char *and)
{
    for (int i = 0; i < w->count; i++)
        foreign_print(to, "%s%s", i == 0 ? "" : i + 1 == w->count ? and : ", ", w->word[i]);
}

static void tell_words(FILE *to, const char *label, const TrustWords *w, const char *any, const char *and)
{
    tell(to, label, "");
    if (w->count)
        tell_list(to, w, and);
    else
        fputs(any, to);
    fputc('\n', to);
}

static void tell_state(FILE *to, TrustLanguage language, const TrustConsent *c, int64_t now_s)
{
    const bool german = language == TRUST_GERMAN;
    const char *state = trust_consent_state(c, now_s);
    if (strcmp(state, "granted") == 0)
        foreign_print(to, "  %-14s%s\n", german ? "Stand" : "State", german ? "gilt" : "in force");
    else if (strcmp(state, "expired") == 0)
        foreign_print(to, "  %-14s%s\n", german ? "Stand" : "State",
                      german ? "abgelaufen; nichts Neues darf damit gemacht werden"
                             : "ended; nothing new may be made with it");
    else
        foreign_print(to, "  %-14s%s\n", german ? "Stand" : "State",
                      german ? "widerrufen; nichts darf damit gemacht oder gezeigt werden"
                             : "taken back; nothing may be made or shown with it");
}

static void tell_english(FILE *to, const char *cameo, const char *name, const TrustConsent *c)
{
    foreign_print(to, "Consent %d of %s\n", c->number, name);
    foreign_print(to, "  %-14s%s\n", "What",
                  c->face && c->voice ? "the face and the voice may be used in made-up videos"
                  : c->face           ? "the face may be used in made-up videos; not the voice"
                                      : "the voice may be used in made-up videos; not the face");
    foreign_print(to, "  %-14s%s, and for nothing else\n", "For", c->purpose);
    tell_words(to, "Campaigns", &c->campaigns, "any campaign for this purpose", " and ");
    tell_words(to, "Brands", &c->brands, "any company", " and ");
    if (c->audience == TRUST_NAMED)
        tell_words(to, "Shown to", &c->names, "", " and ");
    else
        foreign_print(to, "  %-14s%s\n", "Shown to",
                      c->audience == TRUST_ONLY_ME
                          ? "nobody but the person"
                          : "anyone; videos may be passed on and seen by people who are not known");
    tell_words(to, "Where", &c->territories, "anywhere in the world", " and ");
    foreign_print(to, "  %-14s", "Agreed on");
    tell_date(to, TRUST_ENGLISH, c->granted_s);
    fputc('\n', to);
    tell_end(to, TRUST_ENGLISH, c->until_s);
    foreign_print(to, "  %-14s%s%s\n", "Evidence", *c->evidence ? "a document is kept, SHA-256 " : "none attached",
                  c->evidence);
    fprintf(to,
            "  %-14sat any time, without giving a reason. Tell whoever made the video, or run:\n"
            "  %-14sreelwright cameo revoke %s --consent %d\n"
            "  %-14sNo video is made with it from then on, and those that were not handed out yet are withdrawn.\n"
            "  %-14sVideos that have left the house are listed, so that they can be asked back.\n",
            "Take it back", "", cameo, c->number, "", "");
}

static void tell_german(FILE *to, const char *cameo, const char *name, const TrustConsent *c)
{
    foreign_print(to, "Einwilligung %d von %s\n", c->number, name);
    foreign_print(to, "  %-14s%s\n", "Was",
                  c->face && c->voice ? "Gesicht und Stimme dürfen in künstlich erzeugten Videos verwendet werden"
                  : c->face ? "das Gesicht darf in künstlich erzeugten Videos verwendet werden; nicht die Stimme"
                            : "die Stimme darf in künstlich erzeugten Videos verwendet werden; nicht das Gesicht");
    tell(to, "Wofür", c->purpose);
    fputs(", und für nichts anderes\n", to);
    tell_words(to, "Kampagnen", &c->campaigns, "jede Kampagne zu diesem Zweck", " und ");
    tell_words(to, "Marken", &c->brands, "jede Firma", " und ");
    if (c->audience == TRUST_NAMED)
        tell_words(to, "Wer es sieht", &c->names, "", " und ");
    else
        foreign_print(to, "  %-14s%s\n", "Wer es sieht",
                      c->audience == TRUST_ONLY_ME ? "niemand außer der Person selbst"
                                                   : "alle; Videos können weitergegeben werden, auch an Unbekannte");
    tell_words(to, "Wo", &c->territories, "überall auf der Welt", " und ");
    foreign_print(to, "  %-14s", "Gegeben am");
    tell_date(to, TRUST_GERMAN, c->granted_s);
    fputc('\n', to);
    tell_end(to, TRUST_GERMAN, c->until_s);
    foreign_print(to, "  %-14s%s%s\n", "Nachweis",
                  *c->evidence ? "ein Dokument liegt vor, SHA-256 " : "keiner beigefügt", c->evidence);
    fprintf(to,
            "  %-14sjederzeit und ohne Angabe von Gründen. Sagen Sie es denen, die das Video gemacht haben, oder:\n"
            "  %-14sreelwright cameo revoke %s --consent %d\n"
            "  %-14sVon da an wird kein Video mehr damit gemacht; noch nicht ausgegebene werden zurückgezogen.\n"
            "  %-14sWas das Haus schon verlassen hat, steht in einer Liste, damit es zurückgefordert werden kann.\n",
            "Widerruf", "", cameo, c->number, "", "");
}

void trust_consent_tell(FILE *to, TrustLanguage language, const char *cameo, const char *name, const TrustConsent *c,
                        int64_t now_s)
{
    if (language == TRUST_GERMAN)
        tell_german(to, cameo, name, c);
    else
        tell_english(to, cameo, name, c);
    tell_state(to, language, c, now_s);
}
