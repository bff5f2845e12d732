import type { CommandSpec } from '../args.ts';
import type { Commands } from '../program.ts';
import { formatWithYaml as format } from './format-flag.ts';

/** The command lines that show which releases the cluster runs. */
export const inventoryCommandSpecs: readonly CommandSpec[] = [
  {
    name: 'inventory status',
    help: 'Count the machines by version and role, and name those that read fewer facts than others.',
    flags: [format],
  },
  { name: 'inventory ls', help: 'List all machines with their roles and versions.', flags: [format] },
];

export const inventoryCommands: Commands = {
  'inventory status': async () => (await import('./inventory.ts')).inventoryStatus,
  'inventory ls': async () => (await import('./inventory.ts')).listInventory,
};
