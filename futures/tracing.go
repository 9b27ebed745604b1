package futures

import (
	"context"
	"reflect"
	"runtime"
	"runtime/trace"
)

// What runtime/trace shows of tasks. All of it is done only while a trace is taken.

// taskType is the type of the tasks of runtime/trace that stand for a Task.
const taskType = "futures.Task"

// NamedJob is a Job that has a name in an execution trace.
type NamedJob interface {
	Job

	// TraceName is that name, the function's say. See FunctionName.
	TraceName() string
}

// FunctionName is the name of a function in an execution trace or a profile,
// "main.(*server).serve"; empty if fn is none.
func FunctionName(fn any) string {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Func || v.IsNil() {
		return ""
	}
	return runtime.FuncForPC(v.Pointer()).Name()
}

// name is the type of the region that a task is in an execution trace.
func (t *Task) name() string {
	var name string
	switch job := t.job.(type) {
	case NamedJob:
		name = job.TraceName()
	case *functions:
		if name = FunctionName(job.name); name == "" {
			name = FunctionName(job.run)
		}
	}
	if name == "" {
		return taskType
	}
	return name
}

// traceTask makes a task of runtime/trace for one that is about to start, of which the
// context is the parent; its end is noted when the task ends.
func traceTask(parent context.Context) (context.Context, *tracedTask) {
	if !trace.IsEnabled() {
		return parent, nil
	}
	ctx, task := trace.NewTask(parent, taskType)
	return ctx, &tracedTask{task: task}
}

// tracedTask ends a task of runtime/trace with a Task.
type tracedTask struct {
	hook EndHook
	task *trace.Task
}

// TaskEnded implements TaskEnder.
func (t *tracedTask) TaskEnded(*Task) { t.task.End() }
