#!/bin/bash
# boot.sh DIRECTORY PROJECT ROOT: boots a real systemd as process 1 of namespaces of its own, on an overlay of ROOT (this
# machine's files, or unpacked packages), with the project at its own path. Prints the outer process id of that process 1
# and stays until it ends.
set -euo pipefail
directory=$1 project=$2 lower=$3
node=$(readlink -f "$project/.tools/node/bin/node")
[ "$(id -u)" = 0 ] || { echo "booting a systemd needs root" >&2; exit 1; }
[ -x "$lower/lib/systemd/systemd" ] || { echo "no $lower/lib/systemd/systemd: install the package systemd" >&2; exit 1; }
unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$unified" ] || { echo "no cgroup2 hierarchy is mounted here" >&2; exit 1; }
group=$unified/teleport-test-$$
mkdir "$group"
cat > "$directory/inside.sh" <<EOS
set -euo pipefail
mount -t tmpfs tmpfs "$directory/over"
mkdir "$directory/over/"{up,work,root}
mount -t overlay overlay -o "lowerdir=$lower",upperdir="$directory/over/up",workdir="$directory/over/work" "$directory/over/root"
root=$directory/over/root
# What the scripts of unpacked packages would have made.
if [ ! -e "\$root/etc/passwd" ]; then
  for name in passwd group; do cp "\$root/usr/share/base-passwd/\$name.master" "\$root/etc/\$name"; done
  cp "\$root/usr/share/libc-bin/nsswitch.conf" "\$root/etc/nsswitch.conf"
  echo '127.0.0.1 localhost' > "\$root/etc/hosts"
  tr -d - < /proc/sys/kernel/random/uuid > "\$root/etc/machine-id"
  ln -s mawk "\$root/usr/bin/awk"
  chroot "\$root" /usr/sbin/pwconv
  chroot "\$root" /usr/bin/systemd-sysusers
fi
mount -t proc proc "\$root/proc"
mount -t tmpfs tmpfs "\$root/run"
mount -t tmpfs -o mode=1777 tmpfs "\$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "\$root/dev"
for name in null zero full random urandom tty; do touch "\$root/dev/\$name"; mount --bind "/dev/\$name" "\$root/dev/\$name"; done
mkdir "\$root/dev/pts" "\$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "\$root/dev/pts"
ln -s pts/ptmx "\$root/dev/ptmx"
ln -s /proc/self/fd "\$root/dev/fd"
mount -t tmpfs tmpfs "\$root/dev/shm"
mount -t sysfs sysfs "\$root/sys"
mount -t cgroup2 cgroup2 "\$root/sys/fs/cgroup"
mkdir -p "\$root$project" "\$root$directory/share"
mount --rbind "$project" "\$root$project"
mount --bind "$directory/share" "\$root$directory/share"
# The project's runtime may be that of this machine.
if [ ! -e "\$root$node" ]; then
  mkdir -p "\$root$(dirname "$node")"
  touch "\$root$node"
  mount --bind "$node" "\$root$node"
fi
cd "\$root"
mkdir -p outside
pivot_root . outside
umount -l /outside
# Sessions start bare, whatever the shells of this machine's root do.
rm -f /root/.bashrc /root/.profile /root/.bash_profile /root/.bash_login
# Nothing of the machine's own services: only what the test enables. Nor of a teleport that is in use there.
rm -rf /etc/systemd/system/*.wants /var/lib/systemd/deb-systemd-helper-enabled
rm -rf /etc/systemd/system/teleport* /etc/default/teleport /etc/teleport.yaml /var/lib/teleport
for unit in tmp.mount systemd-modules-load.service systemd-udevd.service systemd-udev-trigger.service getty.target \
  systemd-networkd.service systemd-resolved.service systemd-timesyncd.service systemd-logind.service; do
  ln -sf /dev/null "/etc/systemd/system/\$unit"
done
mkdir -p /etc/tmpfiles.d && ln -sf /dev/null /etc/tmpfiles.d/tmp.conf
ip link set lo up
hostname teleport-test
unset NOTIFY_SOCKET LISTEN_FDS LISTEN_PID
export container=teleport-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec /lib/systemd/systemd --system --unit=multi-user.target --show-status=0 </dev/null
EOS
mkdir -p "$directory/over" "$directory/share"
remove_group() {
  find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
}
trap remove_group EXIT
bash -c 'echo $$ > "$1/cgroup.procs"; exec unshare --pid --fork --kill-child --mount --uts --ipc --net --cgroup --propagation private bash "$2"' \
  boot "$group" "$directory/inside.sh" > "$directory/console" 2>&1 &
outer=$!
for _ in $(seq 100); do
  init=$(pgrep -P "$outer" || true)
  [ -n "$init" ] && break
  sleep 0.1
done
echo "$init"
trap 'kill -9 $init; wait "$outer" || true; remove_group; exit 0' TERM INT
wait "$outer"
