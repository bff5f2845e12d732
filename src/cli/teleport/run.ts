import { processIo } from '../cli-io.ts';
import { runAsProcess } from '../program.ts';
import { main } from './main.ts';

void runAsProcess((argv) => main(argv, processIo()));
