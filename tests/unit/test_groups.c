/* Which workers form groups: neighbours, and spares where neighbours are not to be had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/dispatch/roster.h"

static Roster roster;

static void open_roster(int workers, int group_size)
{
    roster_open(&roster, workers + 1, 0, 0);
    roster.group_size = group_size;
    for (int rank = 1; rank <= workers; rank++) roster.member[rank].takes = 1 << LEASE_RENDER | 1 << LEASE_FINISH;
}

static void set(int first, int last, MemberState state)
{
    for (int rank = first; rank <= last; rank++) roster_set_state(&roster, &roster.member[rank], state);
}

/* The members of the group that `lead` is the first of, as digits: 0 when it is not. */
static int group_of(int lead)
{
    int digits = 0;
    if (roster.member[lead].lead != lead) return 0;
    for (Member *m = NULL; (m = roster_next_member(&roster, &roster.member[lead], m));) digits = 10 * digits + m->rank;
    return digits;
}

static void neighbours_wait_for_each_other(void **state)
{
    (void)state;
    open_roster(5, 2);
    set(1, 1, MEMBER_READY);
    set(4, 5, MEMBER_READY);
    roster_form_groups(&roster, 0);
    assert_int_equal(roster.groups, 0); /* 2 and 3 may come; 5 has no neighbour and nobody else is spare */
    set(2, 3, MEMBER_READY);
    roster_form_groups(&roster, 0);
    assert_int_equal(group_of(1), 12);
    assert_int_equal(group_of(3), 34);
    assert_int_equal(group_of(5), 0);
    assert_true(roster_group_can_work(&roster, &roster.member[1], 0));
    assert_false(roster_group_can_work(&roster, &roster.member[2], 0));
    assert_false(roster_group_can_work(&roster, &roster.member[5], 0));
    set(4, 4, MEMBER_HELPING);
    assert_false(roster_group_can_work(&roster, &roster.member[3], 0));
    roster_close(&roster);
}

static void survivors_and_spares_form_new_ones(void **state)
{
    (void)state;
    open_roster(5, 2);
    set(1, 5, MEMBER_READY);
    roster_form_groups(&roster, 0);
    set(2, 2, MEMBER_DEAD);
    roster_end_group(&roster, roster.member[2].group);
    roster_form_groups(&roster, 0);
    assert_int_equal(group_of(1), 15);
    assert_int_equal(group_of(3), 34);
    set(4, 4, MEMBER_LOST);
    roster_end_group(&roster, roster.member[3].group);
    roster_form_groups(&roster, 0);
    assert_int_equal(group_of(3), 0); /* alone */
    set(4, 4, MEMBER_READY);          /* it came back: the neighbours are whole again */
    roster_form_groups(&roster, 0);
    assert_int_equal(group_of(3), 34);
    roster_close(&roster);
}

static void who_does_not_come_is_not_waited_for(void **state)
{
    (void)state;
    open_roster(4, 2);
    set(1, 1, MEMBER_READY);
    set(3, 3, MEMBER_READY);
    roster_form_groups(&roster, 0);
    assert_int_equal(roster.groups, 0);
    for (int rank = 1; rank <= 4; rank++) roster.member[rank].heard_ms = ROSTER_ABSENT_MS + 1;
    roster_form_groups(&roster, ROSTER_ABSENT_MS + 1);
    assert_int_equal(group_of(1), 13);
    roster_close(&roster);
}

static void a_helper_that_does_not_come_back_is_overdue(void **state)
{
    (void)state;
    open_roster(2, 2);
    roster.fixed_limit_ms = 1000;
    set(1, 2, MEMBER_READY);
    roster_form_groups(&roster, 0);
    set(1, 1, MEMBER_WORKING);
    set(2, 2, MEMBER_HELPING);
    assert_false(roster_overdue(&roster, &roster.member[2], 5000)); /* its group's progress counts */
    assert_true(roster_overdue(&roster, &roster.member[1], 5000));
    roster_end_group(&roster, roster.member[1].group);
    assert_true(roster_overdue(&roster, &roster.member[2], 5000));
    assert_int_equal(roster_count(&roster, 0).hoped[LEASE_RENDER], 2);
    roster_close(&roster);
}

/* Two groups lose a rank each, and a spare: the two that are left of them are as good as back, so the job is not over. */
static void those_left_of_a_lost_group_are_waited_for(void **state)
{
    (void)state;
    open_roster(5, 2);
    set(1, 4, MEMBER_LOST);
    set(2, 3, MEMBER_DEAD);
    set(5, 5, MEMBER_READY);
    assert_int_equal(roster_count(&roster, 0).hoped[LEASE_RENDER], 1); /* lost by itself, which it may be for ever */
    for (int rank = 1; rank <= 4; rank++) roster_await(&roster, &roster.member[rank], ROSTER_BACK_MS);
    assert_int_equal(roster_count(&roster, ROSTER_BACK_MS - 1).hoped[LEASE_RENDER], 3);
    assert_int_equal(roster_count(&roster, ROSTER_BACK_MS).hoped[LEASE_RENDER], 1);
    roster_close(&roster);
}

/* Who was stopped says goodbye; if it hangs instead, the job does not wait for it for ever. */
static void those_that_leave_are_waited_for_a_while(void **state)
{
    (void)state;
    enum { NOW = 1000 };
    open_roster(2, 1);
    set(1, 1, MEMBER_WORKING);
    set(2, 2, MEMBER_READY);
    Member *m = &roster.member[1];
    roster_set_leaving(&roster, m, NOW);
    assert_int_equal(roster_count(&roster, NOW + ROSTER_BACK_MS).any, 2); /* it works still */
    set(1, 1, MEMBER_READY);
    assert_false(roster_can_work(m, NOW));
    assert_true(roster_is_hoped(&roster, m, NOW));
    assert_int_equal(roster_count(&roster, NOW).hoped[LEASE_RENDER], 2);
    assert_false(roster_is_hoped(&roster, m, NOW + ROSTER_BACK_MS));
    assert_int_equal(roster_count(&roster, NOW + ROSTER_BACK_MS).hoped[LEASE_RENDER], 1);
    assert_int_equal(roster_count(&roster, NOW + ROSTER_BACK_MS).any, 1);
    set(1, 1, MEMBER_GONE);
    assert_int_equal(roster_count(&roster, NOW).any, 1);
    roster_close(&roster);
}

/* Finishers are in no group; a rank that finishes a clip is waited for. */
static void finishers_are_in_no_group(void **state)
{
    (void)state;
    open_roster(5, 2);
    for (int rank = 4; rank <= 5; rank++) roster.member[rank].takes = 1 << LEASE_FINISH;
    roster.member[2].kind = LEASE_FINISH;
    set(1, 5, MEMBER_READY);
    set(2, 2, MEMBER_WORKING);
    roster_form_groups(&roster, 0);
    assert_int_equal(roster.groups, 0);
    set(2, 2, MEMBER_READY);
    roster_form_groups(&roster, 0);
    assert_int_equal(roster.groups, 1);
    assert_int_equal(group_of(1), 12);
    assert_int_equal(roster_count(&roster, 0).hoped[LEASE_RENDER], 3);
    assert_int_equal(roster_count(&roster, 0).hoped[LEASE_FINISH], 5);
    set(2, 2, MEMBER_WORKING); /* of a whole group, too */
    assert_false(roster_group_can_work(&roster, &roster.member[1], 0));
    roster_close(&roster);
}

static void groups_of_one_are_everybody(void **state)
{
    (void)state;
    Lease l = {0};
    open_roster(3, 1);
    set(1, 3, MEMBER_READY);
    roster_form_groups(&roster, 0);
    for (int rank = 1; rank <= 3; rank++) assert_int_equal(group_of(rank), rank);
    roster_fill_group(&roster, &roster.member[2], &l);
    assert_int_equal(l.group, roster.member[2].group);
    assert_int_equal(l.member_count, 1);
    assert_int_equal(l.member[0], 2);
    roster_close(&roster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(neighbours_wait_for_each_other),
                                       cmocka_unit_test(survivors_and_spares_form_new_ones),
                                       cmocka_unit_test(who_does_not_come_is_not_waited_for),
                                       cmocka_unit_test(a_helper_that_does_not_come_back_is_overdue),
                                       cmocka_unit_test(those_left_of_a_lost_group_are_waited_for),
                                       cmocka_unit_test(those_that_leave_are_waited_for_a_while),
                                       cmocka_unit_test(finishers_are_in_no_group),
                                       cmocka_unit_test(groups_of_one_are_everybody)};
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
