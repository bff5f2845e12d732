import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// Beside the program, never in a directory that others may write to.
enableCompileCache(fileURLToPath(new URL('./.cache', import.meta.url)));
const { main } = await import('./main.ts');
const { processIo } = await import('../cli-io.ts');
const { runAsProcess } = await import('../program.ts');
await runAsProcess((argv) => main(argv, processIo()));
