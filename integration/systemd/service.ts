import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bootMachine, type Machine } from './machine.ts';

const project = resolve('.');
const password = 'correct horse battery';

/** A machine with the programs and the units of this project. `root` as for `bootMachine`. */
export async function bootInstalled(root?: string): Promise<Machine> {
  const machine = await bootMachine(root);
  await machine.must(
    `${project}/.ci/install /usr/local && ${project}/.ci/install-systemd '' && systemctl daemon-reload`,
  );
  return machine;
}

export const writeConfiguration = (machine: Machine, text: string): Promise<string> => {
  writeFileSync(join(machine.share, 'teleport.yaml'), text);
  return machine.must(`cp ${machine.share}/teleport.yaml /etc/teleport.yaml`);
};

export const mainPidOf = async (machine: Machine, unit: string): Promise<number> =>
  Number(await machine.show(unit, 'MainPID'));

/** Every process of the unit, old ones that drain too. */
export async function processesOf(machine: Machine, unit: string): Promise<number[]> {
  const { stdout } = await machine.sh(`cat /sys/fs/cgroup/system.slice/${unit}.service/cgroup.procs`);
  return stdout.split('\n').filter(Boolean).map(Number);
}

/** Makes the user root, by the link that is printed. */
export async function createRoot(machine: Machine, config = '/etc/teleport.yaml'): Promise<void> {
  const printed = await machine.must(`tctl --config=${config} users add root root`);
  const token = /web\/invite\/([0-9a-f]{32})/.exec(printed)?.[1] ?? '';
  const csrf = 'ab'.repeat(32);
  const body = JSON.stringify({ token, password: Buffer.from(password).toString('base64') });
  await machine.must(
    `curl -sS --fail-with-body -k -X PUT -H 'Content-Type: application/json' -H 'X-CSRF-Token: ${csrf}' ` +
      `-H 'Cookie: __Host-grv_csrf=${csrf}' -d @- https://localhost:3080/v1/webapi/users/password/token`,
    { input: body },
  );
}

export const logIn = (machine: Machine): Promise<string> =>
  machine.must('tsh login --insecure --proxy=localhost:3080 --user=root', { input: `${password}\n` });
