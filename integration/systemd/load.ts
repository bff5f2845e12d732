/*
 * Runs inside the machine until it is told to stop (TERM): opens connections of every kind, prints what
 * failed.
 */
import { startLoad } from '../restart/restart-load.ts';

const [auth = 0, ssh = 0, proxySsh = 0, web = 0] = process.argv.slice(2).map(Number);
const load = startLoad({ ports: { auth, ssh, proxySsh, web } }, {});
process.stdout.write('started\n');
process.once('SIGTERM', () => {
  void load.stop().then(() => {
    process.stdout.write(`${JSON.stringify(load.tallies)}\n`);
    process.exit(0);
  });
});
