/* ledger_fixture.h - a ledger with a hand-made campaign in it and its first epoch begun. */
#ifndef REELWRIGHT_TESTS_LEDGER_FIXTURE_H
#define REELWRIGHT_TESTS_LEDGER_FIXTURE_H

#include "farm_fixture.h"

typedef struct {
    char *folder;
    Campaign *campaign;
    Ledger *ledger;
} Fixture;

static inline Fixture open_fixture(int rows, int rows_per_shot)
{
    Fixture f = {.folder = fixture_folder(), .campaign = fixture_campaign("summer", rows, rows_per_shot)};
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &f.ledger));
    assert_good(ledger_adopt(f.ledger, f.campaign, 100));
    assert_good(ledger_begin_epoch(f.ledger, "host", 1, 101));
    return f;
}

static inline void close_fixture(Fixture *f)
{
    ledger_close(&f->ledger);
    fixture_campaign_free(f->campaign);
    fixture_remove(f->folder);
}

#endif
