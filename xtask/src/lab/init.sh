#!/bin/busybox sh
# PID 1 of the lab machine. All down to `read` is in the template; the rest runs once for each job.
B=/bin/busybox
$B mount -t devtmpfs dev /dev
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mkdir -p /dev/pts /dev/shm /dev/mqueue /lower /layers /new
$B mount -t devpts -o mode=620,ptmxmode=666 pts /dev/pts
$B mount -t tmpfs -o mode=1777 shm /dev/shm
$B mount -t mqueue mqueue /dev/mqueue
$B ln -sf /proc/self/fd /dev/fd
$B ln -sf /proc/self/fd/0 /dev/stdin
$B ln -sf /proc/self/fd/1 /dev/stdout
$B ln -sf /proc/self/fd/2 /dev/stderr
$B chmod 666 /dev/kvm /dev/net/tun
$B mount -t cgroup2 cgroup /sys/fs/cgroup
$B ip link set lo up
$B mount -t tmpfs -o mode=755,size=75% layers /layers
$B mkdir -p /layers/upper/.lab /layers/work
$B cp /bin/busybox /job.sh /layers/upper/.lab/
while [ ! -c /dev/vport0p1 ] || [ ! -c /dev/vport0p2 ] || [ ! -c /dev/vport0p3 ]; do $B usleep 10000; done
exec 3<>/dev/vport0p1

echo ready >&3
read -r now share job <&3

$B date -s "@$now" >/dev/null
# The host's files aren't changed under a job, so whatever was read once may be kept.
$B mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /lower &&
$B mount -t overlay -o lowerdir=/lower,upperdir=/layers/upper,workdir=/layers/work overlay /new &&
$B mkdir -p /new/lab /new/dev /new/proc /new/sys &&
$B mount -t ext4 -o noinit_itable,noatime /dev/vda /new/lab &&
$B mkdir -p /new/lab/home /new/lab/tmp &&
$B mount --move /dev /new/dev &&
$B mount --move /sys /new/sys &&
$B mount --move /proc /new/proc || exec $B poweroff -f
if [ "$share" != - ]; then
    $B mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 share "/new$share" || exec /bin/busybox poweroff -f
fi
exec $B switch_root /new /.lab/busybox sh /.lab/job.sh "$job"
