/* test_shm.c: System V shared memory, after LTP shmget02-06, shmat01-04, shmdt01-02, shmctl01-08 and
 * Linux 6.18 ipc/shm.c. */
#include "unit/mm/one_box.h"

#include <linux/capability.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#define BASE UINT64_C(0x10000000)
#define KEY  0x1234

static int segment(uint64_t size)
{
    int id = mm_shmget(box.mm, IPC_PRIVATE, size, 0700);
    assert_true(id >= 0);
    return id;
}

static int64_t attach(int id, uint64_t at, int flags)
{
    return mm_shmat(box.mm, id, va(at), flags, false);
}

static struct mm_shmid stat_of(int id)
{
    struct mm_shmid d;
    assert_int_equal(mm_shmctl(box.mm, id, IPC_STAT, &d), 0);
    return d;
}

/* shmget02: ENOENT, EEXIST, EINVAL, EACCES */
static void shmget_refuses_as_linux_does(void **state)
{
    (void)state;
    assert_int_equal(mm_shmget(box.mm, KEY, K, 0600), -ENOENT);
    assert_int_equal(mm_shmget(box.mm, KEY, 0, IPC_CREAT | 0600), -EINVAL);
    assert_int_equal(mm_shmget(box.mm, KEY, UINT64_MAX, IPC_CREAT | 0600), -EINVAL);
    int id = mm_shmget(box.mm, KEY, 2 * K, IPC_CREAT | 0600);
    assert_true(id >= 0);
    assert_int_equal(mm_shmget(box.mm, KEY, 2 * K, IPC_CREAT | IPC_EXCL | 0600), -EEXIST);
    assert_int_equal(mm_shmget(box.mm, KEY, 2 * K, IPC_CREAT | 0600), id);
    assert_int_equal(mm_shmget(box.mm, KEY, 0, 0), id);
    assert_int_equal(mm_shmget(box.mm, KEY, 2 * K + 1, 0), -EINVAL); /* larger than it is */
    struct mm_task t = *mm_task(box.mm);
    t.uid++;
    mm_set_task(box.mm, &t);
    assert_int_equal(mm_shmget(box.mm, KEY, 0, 0400), -EACCES);
    t.caps = BIT(CAP_IPC_OWNER);
    mm_set_task(box.mm, &t);
    assert_int_equal(mm_shmget(box.mm, KEY, 0, 0400), id);
}

/* shmget03: ENOSPC at kernel.shmmni */
static void there_are_at_most_4096_segments(void **state)
{
    (void)state;
    for (int i = 0; i < 4096; i++)
        segment(K);
    assert_int_equal(mm_shmget(box.mm, IPC_PRIVATE, K, 0600), -ENOSPC);
}

/* shmat01, shmat02 */
static void shmat_takes_and_rounds_addresses(void **state)
{
    (void)state;
    int id = segment(2 * K);
    map_anon(&box, BASE + 16 * K, 1, RW);
    const struct {
        int id;
        uint64_t at;
        int flags;
        int64_t result; /* 1: any address */
    } row[] = {
        {-1, 0, 0, -EINVAL},
        {id + 1, 0, 0, -EINVAL},
        {id, BASE, 0, BASE},
        {id, BASE + 5 * K + 100, 0, -EINVAL},
        {id, BASE + 5 * K + 100, SHM_RND, BASE + 5 * K},
        {id, BASE + K, 0, -EINVAL}, /* something is there */
        {id, BASE + K, SHM_REMAP, BASE + K},
        {id, BASE + 15 * K, 0, -EINVAL},
        {id, BASE + 15 * K, SHM_REMAP, BASE + 15 * K},
        {id, 0, SHM_REMAP, -EINVAL},
        {id, 100, SHM_RND | SHM_REMAP, -EINVAL},
        {id, 0, SHM_RDONLY, 1},
        {id, 0, SHM_EXEC, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        int64_t r = attach(row[i].id, row[i].at, row[i].flags);
        if (row[i].result == 1 ? r <= 0 : r != row[i].result)
            fail_msg("row %zu: %ld", i, (long)r);
    }
}

static void rights_of_a_segment_are_its_mappings(void **state)
{
    (void)state;
    int id = segment(2 * K);
    attach(id, BASE, SHM_RDONLY);
    assert_int_equal(mm_mprotect(box.mm, va(BASE), K, RW), -EACCES);
    assert_int_equal(touch(&box, BASE, true).signal, SIGSEGV);
    attach(id, BASE + 4 * K, SHM_EXEC);
    assert_string_equal(draw(&box, BASE + 4 * K, 2), "Xx");
    struct mm_task t = *mm_task(box.mm);
    t.uid++;
    mm_set_task(box.mm, &t);
    assert_int_equal(attach(id, 0, 0), -EACCES); /* mode 0600 */
}

static void all_attaches_show_the_same_pages(void **state)
{
    (void)state;
    int id = segment(4 * K);
    attach(id, BASE, 0);
    attach(id, BASE + 8 * K, 0);
    touch_pages(&box, BASE, 4, true);
    assert_int_equal(touch_pages(&box, BASE + 8 * K, 4, true), 4); /* nothing maps around */
    assert_int_equal(phys_owner_frames(box.phys, FRAME_SHMEM), 4);
    assert_int_equal(stat_of(id).nattch, 2);
}

/* shmdt01, shmdt02 */
static void shmdt_takes_what_is_left_of_one_attach(void **state)
{
    (void)state;
    int id = segment(6 * K);
    attach(id, BASE, 0);
    attach(id, BASE + 6 * K, 0);
    assert_int_equal(mm_munmap(box.mm, va(BASE + 2 * K), K), 0);
    assert_int_equal(mm_mprotect(box.mm, va(BASE + 4 * K), K, PROT_READ), 0);
    assert_int_equal(mm_shmdt(box.mm, va(BASE + 1)), -EINVAL);
    assert_int_equal(mm_shmdt(box.mm, va(BASE + K)), -EINVAL);
    assert_int_equal(mm_shmdt(box.mm, va(BASE)), 0);
    assert_string_equal(draw(&box, BASE, 12), "......Wwwwww");
    map_full(&box, BASE, K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    assert_int_equal(mm_shmdt(box.mm, va(BASE)), -EINVAL); /* shared, but no segment */
}

/* vm_ops->close: a mapping of a segment is never swallowed by its neighbour. */
static void split_attaches_stay_split(void **state)
{
    (void)state;
    attach(segment(6 * K), BASE, 0);
    assert_int_equal(mm_mprotect(box.mm, va(BASE + 2 * K), 2 * K, PROT_READ), 0);
    assert_string_equal(draw(&box, BASE, 6), "WwRrWw");
    assert_int_equal(mm_mprotect(box.mm, va(BASE + 2 * K), 2 * K, RW), 0);
    assert_string_equal(draw(&box, BASE, 6), "WwWwWw");
}

/* shmctl: IPC_RMID of an attached segment */
static void a_removed_segment_lives_as_long_as_its_mappings(void **state)
{
    (void)state;
    int id = mm_shmget(box.mm, KEY, 2 * K, IPC_CREAT | 0600);
    attach(id, BASE, 0);
    touch_pages(&box, BASE, 2, true);
    assert_int_equal(mm_shmctl(box.mm, id, IPC_RMID, NULL), 0);
    assert_int_equal(mm_shmget(box.mm, KEY, 0, 0), -ENOENT); /* the key is gone */
    assert_int_equal(stat_of(id).mode & SHM_DEST, SHM_DEST);
    assert_int_equal(mm_shmctl(box.mm, id, IPC_RMID, NULL), 0);
    assert_int_equal(attach(id, BASE + 8 * K, 0), BASE + 8 * K); /* the id is not */
    assert_int_equal(mm_shmdt(box.mm, va(BASE)), 0);
    assert_int_equal(phys_owner_frames(box.phys, FRAME_SHMEM), 2);
    assert_int_equal(mm_shmdt(box.mm, va(BASE + 8 * K)), 0);
    assert_int_equal(phys_owner_frames(box.phys, FRAME_SHMEM), 0);
    assert_int_equal(attach(id, BASE, 0), -EINVAL);
}

static void a_segment_outlives_its_mappings(void **state)
{
    (void)state;
    int id = segment(2 * K);
    attach(id, BASE, 0);
    touch_pages(&box, BASE, 2, true);
    assert_int_equal(mm_shmdt(box.mm, va(BASE)), 0);
    assert_int_equal(phys_owner_frames(box.phys, FRAME_SHMEM), 2);
    assert_int_equal(mm_shmctl(box.mm, id, IPC_RMID, NULL), 0);
    assert_int_equal(phys_owner_frames(box.phys, FRAME_SHMEM), 0);
}

/* shmctl02, shmctl03, shmctl07 */
static void shmctl_refuses_as_linux_does(void **state)
{
    (void)state;
    int id = segment(2 * K);
    struct mm_shmid d = {.mode = 0400};
    assert_int_equal(mm_shmctl(box.mm, -1, IPC_STAT, &d), -EINVAL);
    assert_int_equal(mm_shmctl(box.mm, id + 1, IPC_STAT, &d), -EINVAL);
    assert_int_equal(mm_shmctl(box.mm, id, 77, &d), -EINVAL);
    assert_int_equal(mm_shmctl(box.mm, id, SHM_LOCK, NULL), 0);
    assert_int_equal(stat_of(id).mode & SHM_LOCKED, SHM_LOCKED);
    assert_int_equal(mm_shmctl(box.mm, id, SHM_UNLOCK, NULL), 0);
    mm_set_rlimit(box.mm, MM_RLIM_MEMLOCK, (struct mm_rlimit){K, K});
    assert_int_equal(mm_shmctl(box.mm, id, SHM_LOCK, NULL), -ENOMEM);
    mm_set_rlimit(box.mm, MM_RLIM_MEMLOCK, (struct mm_rlimit){0, 0});
    assert_int_equal(mm_shmctl(box.mm, id, SHM_LOCK, NULL), -EPERM);
    struct mm_task t = *mm_task(box.mm);
    t.uid++;
    mm_set_task(box.mm, &t);
    assert_int_equal(mm_shmctl(box.mm, id, IPC_STAT, &d), -EACCES);
    assert_int_equal(mm_shmctl(box.mm, id, IPC_SET, &d), -EPERM);
    assert_int_equal(mm_shmctl(box.mm, id, IPC_RMID, NULL), -EPERM);
    assert_int_equal(mm_shmctl(box.mm, id, SHM_LOCK, NULL), -EPERM);
}

/* ipc_update_perm: found by check-kernel, seed 22014569. */
static void IPC_SET_gives_a_segment_to_another_and_its_maker_keeps_his_rights(void **state)
{
    (void)state;
    struct mm_task t = *mm_task(box.mm);
    uint32_t maker = t.uid;
    t.caps = 0;
    mm_set_task(box.mm, &t);
    int id = segment(2 * K);
    struct mm_shmid d = {.uid = maker + 1, .gid = t.gid + 1, .mode = 0740};
    assert_int_equal(mm_shmctl(box.mm, id, IPC_SET, &d), 0);
    assert_int_equal(stat_of(id).uid, maker + 1);
    assert_int_equal(stat_of(id).cuid, maker);
    assert_int_equal(mm_shmctl(box.mm, id, SHM_LOCK, NULL), 0);
    t.uid = maker + 1; /* the owner now */
    mm_set_task(box.mm, &t);
    assert_int_equal(mm_shmctl(box.mm, id, SHM_LOCK, NULL), 0);
    t.uid = maker + 2; /* of the maker's group */
    mm_set_task(box.mm, &t);
    assert_int_equal(mm_shmctl(box.mm, id, SHM_LOCK, NULL), -EPERM);
    assert_int_equal(mm_shmctl(box.mm, id, IPC_STAT, &d), 0);
    assert_int_equal(attach(id, BASE, 0), -EACCES);
    t.gid += 2;
    mm_set_task(box.mm, &t);
    assert_int_equal(mm_shmctl(box.mm, id, IPC_STAT, &d), -EACCES);
    assert_int_equal(mm_shmctl(box.mm, id, IPC_SET, &d), -EPERM);
}

static void fork_attaches_and_exit_detaches(void **state)
{
    (void)state;
    struct mm *child;
    int id = segment(2 * K);
    attach(id, BASE, 0);
    assert_int_equal(mm_fork(&child, box.mm), 0);
    assert_int_equal(stat_of(id).nattch, 2);
    mm_close(child);
    assert_int_equal(stat_of(id).nattch, 1);
}

static void segments_are_promised_when_made(void **state)
{
    (void)state;
    int id = segment(10 * K);
    assert_int_equal(mm_committed(box.sys), 10);
    assert_int_equal(mm_shmget(box.mm, IPC_PRIVATE, GIB(1), 0600), -ENOMEM);
    assert_int_equal(mm_shmget(box.mm, IPC_PRIVATE, GIB(1), 0600 | SHM_NORESERVE) >= 0, true);
    assert_int_equal(mm_shmctl(box.mm, id, IPC_RMID, NULL), 0);
    assert_int_equal(mm_committed(box.sys), 0);
}

/* ipc_idr_alloc: the lowest free index; ids do not come back at once. */
static void ids_of_removed_segments_come_back_with_another_sequence(void **state)
{
    (void)state;
    assert_int_equal(segment(K), 0);
    assert_int_equal(segment(K), 1);
    assert_int_equal(mm_shmctl(box.mm, 0, IPC_RMID, NULL), 0);
    assert_int_equal(segment(K), 32768);
    assert_int_equal(segment(K), 32768 + 2);
}

/* mm/mmap.c, remap_file_pages: every VMA of the range must have the first one's vm_file, and do_shmat makes a
 * file of its own (alloc_file_clone). */
static void remap_file_pages_does_not_reach_from_one_attachment_into_the_next(void **state)
{
    (void)state;
    int id = segment(4 * K);
    assert_int_equal(attach(id, BASE, 0), BASE);
    assert_int_equal(attach(id, BASE + 4 * K, 0), BASE + 4 * K);
    assert_int_equal(mm_remap_file_pages(box.mm, va(BASE + 2 * K), 4 * K, 0, 0, 0), -EINVAL);
    assert_int_equal(mm_remap_file_pages(box.mm, va(BASE + 2 * K), 2 * K, 0, 0, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(remap_file_pages_does_not_reach_from_one_attachment_into_the_next),
        TEST(shmget_refuses_as_linux_does),
        TEST(there_are_at_most_4096_segments),
        TEST(shmat_takes_and_rounds_addresses),
        TEST(rights_of_a_segment_are_its_mappings),
        TEST(all_attaches_show_the_same_pages),
        TEST(shmdt_takes_what_is_left_of_one_attach),
        TEST(split_attaches_stay_split),
        TEST(a_removed_segment_lives_as_long_as_its_mappings),
        TEST(a_segment_outlives_its_mappings),
        TEST(shmctl_refuses_as_linux_does),
        TEST(IPC_SET_gives_a_segment_to_another_and_its_maker_keeps_his_rights),
        TEST(fork_attaches_and_exit_detaches),
        TEST(segments_are_promised_when_made),
        TEST(ids_of_removed_segments_come_back_with_another_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
