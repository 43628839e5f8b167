// node build.mjs OUT, in a folder whose node_modules has @bytecodealliance/componentize-js.
import { componentize } from '@bytecodealliance/componentize-js';
import { writeFile } from 'node:fs/promises';

const { component } = await componentize({ sourcePath: './tool.js', witPath: './wit', worldName: 'tool' });
await writeFile(process.argv[2], component);
